"""pbs.pl and bsub.pl against programs that answer as PBS and LSF do: submit, wait, explain, cancel."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import fake_scheduler
import pytest


class Site(NamedTuple):
    """A fake scheduler: the back end's program, the folder of its jobs, the variables with it on PATH."""

    program: str
    jobs: Path
    environment: dict[str, str]

    def asked(self, program: str) -> list[str]:
        """The arguments of all calls of one of its programs."""
        lines = (self.jobs / "asked").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.split()[0] == program]


@pytest.fixture(params=["pbs.pl", "bsub.pl"])
def site(request, tmp_path) -> Site:
    for name in ("bin", "jobs", "w"):
        (tmp_path / name).mkdir()
    fake_scheduler.install(tmp_path / "bin", tmp_path / "jobs")
    return Site(request.param, tmp_path / "jobs", {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})


def start(site: Site, utils: Path, tmp_path: Path, *arguments: object) -> subprocess.Popen:
    words = [str(utils / site.program), *map(str, arguments)]
    return subprocess.Popen(words, cwd=tmp_path / "w", env={**os.environ, **site.environment}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def finish(process: subprocess.Popen) -> subprocess.CompletedProcess:
    output, errors = process.communicate(timeout=100)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def test_array_with_a_failure_and_a_killed_task(site, utils, tmp_path) -> None:
    (site.jobs / "kill.3").touch()
    command = ["echo", "is-JOB", ";", "test", "JOB", "-ne", "2"]
    result = finish(start(site, utils, tmp_path, "--mem", "2G", "--max-jobs-run", 2, "JOB=1:4", "x.JOB.log", *command))
    assert result.returncode == 1 and "2 / 4 failed" in result.stderr
    assert "first failure: task 2 (exit code 1), x.2.log" in result.stderr
    assert [(tmp_path / f"w/x.{task}.log").exists() for task in range(1, 5)] == [True, True, False, True]
    submitted = site.asked("qsub" if site.program == "pbs.pl" else "bsub")
    assert len(submitted) == 1
    if site.program == "pbs.pl":
        assert submitted[0].startswith("-l mem=2G -N x -j oe -o ") and " -J 1-4%2 " in submitted[0]
    else:
        assert submitted[0].startswith("-R rusage[mem=2G] -J x[1-4]%2 -o ")


def test_the_reason_of_the_scheduler_is_given(site, utils, tmp_path) -> None:
    (site.jobs / "kill.0").touch()
    result = finish(start(site, utils, tmp_path, "x.log", "true"))
    assert result.returncode == 1 and "no log x.log" in result.stderr
    expected = {"pbs.pl": "ended by signal 15: deleted with qdel", "bsub.pl": "reached its time limit: ask for more"}
    assert f"job failed ({expected[site.program]}" in result.stderr


def test_cancelled_by_a_signal(site, utils, tmp_path) -> None:
    process = start(site, utils, tmp_path, "JOB=1:2", "x.JOB.log", "sleep", "60")
    while not (tmp_path / "w/x.2.log").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.returncode == 143 and "cancelled job 100" in result.stderr
    assert site.asked("qdel" if site.program == "pbs.pl" else "bkill") == [
        "100[].pbs" if site.program == "pbs.pl" else "100"
    ]


@pytest.mark.parametrize("site", ["bsub.pl"], indirect=True)
def test_a_server_that_does_not_answer_is_waited_for(site, utils, tmp_path) -> None:
    process = start(site, utils, tmp_path, "x.log", "sleep", "4", ";", "exit", "3")
    while not (tmp_path / "w/x.log").exists():
        time.sleep(0.05)
    (site.jobs / "down").touch()
    time.sleep(5)
    (site.jobs / "down").unlink()
    result = finish(process)
    assert result.returncode == 1 and "job failed (exit code 3)" in result.stderr
    assert result.stderr.count("does not answer") == result.stderr.count("answers again") == 1


@pytest.mark.parametrize("site", ["pbs.pl"], indirect=True)
def test_exit_code_99_of_pbs_is_submitted_again(site, utils, tmp_path) -> None:
    command = ["test", "$CLUSTER_RESTARTS", "-eq", "1", "||", "exit", "$((99*(JOB-1)))"]
    result = finish(start(site, utils, tmp_path, "--requeue", "true", "JOB=1:2", "x.JOB.log", *command))
    assert result.returncode == 0 and "ended with exit code 99: submitted again" in result.stderr, result.stderr
    assert ["-r y" in line for line in site.asked("qsub")] == [True, True]
    assert " -J " not in site.asked("qsub")[1]  # the one task alone
    refused = finish(start(site, utils, tmp_path, "--queue", "nowhere", "y.log", "true"))
    assert refused.returncode == 1 and "PBS does not take the job: qsub: Unknown queue" in refused.stderr
