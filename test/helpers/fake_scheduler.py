"""A folder and the arguments of qsub, qstat, qdel (PBS), bsub, bjobs, bkill (LSF) -> answers in their recorded format.

Jobs really run, as processes of this machine. Programs of these names call main(); <folder>/asked tells what was asked.
Files in the folder make faults: "down" (the server does not answer), "kill.<index>" (a task is killed silently).
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

DOWN = {
    "pbs": "Connection refused\nqstat: cannot connect to server pbs (errno=111)",
    "lsf": "LSF is down. Please wait ...",
}


class Fake:
    """The jobs of a folder: <folder>/<job>/<index> holds the process id, beside it <index>.end the exit status."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, job: int, index: int, script: str, variables: dict[str, str]) -> None:
        task_file = self.folder / str(job) / str(index)
        task_file.parent.mkdir(exist_ok=True)
        text = f"bash {script}; echo $? > {task_file}.end"
        if (self.folder / f"kill.{index}").exists():
            text = f"echo 271 > {task_file}.end"
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(["bash", "-c", text], env={**os.environ, **variables}, start_new_session=True,
                                   stdin=nothing, stdout=nothing, stderr=nothing)  # fmt: skip
        task_file.write_text(str(process.pid))

    def new_job(self) -> int:
        return 100 + len(list(self.folder.glob("[0-9]*")))

    def tasks(self, job: str) -> list[tuple[int, str]]:
        """(index, exit status or "" while it runs) of a job, in order."""
        indices = sorted(int(path.name) for path in (self.folder / job).glob("*") if path.name.isdigit())
        ends = {index: self.folder / job / f"{index}.end" for index in indices}
        return [(index, end.read_text().strip() if end.exists() else "") for index, end in ends.items()]

    def kill(self, job: str) -> None:
        for index, end in self.tasks(job):
            if not end:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int((self.folder / job / str(index)).read_text()), signal.SIGTERM)


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1] if name in arguments else ""


def qsub(fake: Fake, arguments: list[str]) -> int:
    array, job = option(arguments, "-J"), fake.new_job()
    if option(arguments, "-q") == "nowhere":
        print("qsub: Unknown queue", file=sys.stderr)
        return 170
    first, last = map(int, array.split("%")[0].split("-")) if array else (0, 0)
    for index in range(first, last + 1):
        variables = {"PBS_ARRAY_INDEX": str(index)} if array else {}
        fake.start(job, index, arguments[-1], {**variables, "PBS_JOBID": f"{job}.pbs"})
    print(f"{job}[].pbs" if array else f"{job}.pbs")
    return 0


def qstat(fake: Fake, arguments: list[str]) -> int:
    job_and_index = re.match(r"(\d+)(?:\[(\d*)\])?", arguments[-1])
    assert job_and_index
    job, tasks = job_and_index.group(1), fake.tasks(job_and_index.group(1))
    if "-f" in arguments:
        status = dict(tasks).get(int(job_and_index.group(2) or 0), "")
        print(f"Job Id: {arguments[-1]}\n    Job_Name = x\n    job_state = F\n    Exit_status = {status}\n"
              "    comment = Job run at Sun Nov 22 at 15:00 on (node1:ncpus=1)\n\tand finished\n")  # fmt: skip
        return 0
    if all(end for _, end in tasks):
        print(f"qstat: {arguments[-1]} Job has finished, use -x or -H to obtain historical job information",
              file=sys.stderr)  # fmt: skip
        return 35
    print("Job id            Name             User              Time Use S Queue\n"
          "----------------  ---------------- ----------------  -------- - -----")  # fmt: skip
    if "[" in arguments[-1]:
        print(f"{job}[].pbs         x                me                       0 B workq           ")
    for index, end in tasks:
        name = f"{job}[{index}].pbs" if "[" in arguments[-1] else f"{job}.pbs"
        print(f"{name:<17} x                me                00:00:01 {'X' if end else 'R'} workq           ")
    return 0


def bsub(fake: Fake, arguments: list[str]) -> int:
    name, job = option(arguments, "-J"), fake.new_job()
    task_range = re.search(r"\[(\d+)-(\d+)\]", name)
    first, last = map(int, task_range.groups()) if task_range else (0, 0)
    for index in range(first, last + 1):
        fake.start(job, index, arguments[-1], {"LSB_JOBID": str(job), "LSB_JOBINDEX": str(index)})
    print(f"Job <{job}> is submitted to default queue <normal>.")
    return 0


def bjobs(fake: Fake, arguments: list[str]) -> int:
    lines = []
    for index, end in fake.tasks(arguments[-1]):
        killed = end == "271"
        state = "RUN" if not end else "DONE" if end == "0" else "EXIT"
        reason = "TERM_RUNLIMIT: job killed after reaching LSF run time limit" if killed else "-"
        if "-a" in arguments or not end:
            lines.append(f"{arguments[-1]}|{index}|{state}|{'143' if killed else end or '-'}|{reason}|-")
    print("\n".join(lines) or "No unfinished job found", file=sys.stdout if lines else sys.stderr)
    return 0 if lines else 255


def main(program: str, folder: str, arguments: list[str]) -> int:
    """Answer as the program would."""
    fake = Fake(Path(folder))
    with (fake.folder / "asked").open("a") as stream:
        stream.write(" ".join([program, *arguments]) + "\n")
    if (fake.folder / "down").exists():
        print(DOWN["pbs" if program.startswith("q") else "lsf"], file=sys.stderr)
        return 255
    if program in ("qdel", "bkill"):
        for argument in arguments:
            fake.kill(argument.split("[")[0].split(".")[0])
        return 0
    return {"qsub": qsub, "qstat": qstat, "bsub": bsub, "bjobs": bjobs}[program](fake, arguments)


def install(bin_folder: Path, folder: Path) -> None:
    """Write programs of these names into a folder for PATH."""
    for program in ("qsub", "qstat", "qdel", "bsub", "bjobs", "bkill"):
        path = bin_folder / program
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            f"import fake_scheduler\nsys.exit(fake_scheduler.main({program!r}, {str(folder)!r}, sys.argv[1:]))\n"
        )
        path.chmod(0o755)
