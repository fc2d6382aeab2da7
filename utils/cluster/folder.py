"""The folder of a job, beside its log: the tasks on the nodes read it and write their exit status into it.

<log folder>/q/<name>.<number>/
    job.json       command, log, working folder
    environment    of the submitter, NUL between variables; only its owner may read it; gone when the job has ended
    <first>.sh     what the scheduler starts
    scheduler.log  what the scheduler or the script says outside the log
    started/<task> how often it was started
    status/<task>  "<exit code> <restarts>"
"""

import contextlib
import json
import os
import shlex
import shutil
import sys
import time

from .job_command import fail, program

UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def working_folder():
    """The current folder as the user names it: an automounter's own name for it may not exist on a node."""
    named = os.environ.get("PWD", "")
    return named if named and os.path.realpath(named) == os.path.realpath(os.getcwd()) else os.getcwd()


class Folder:
    """The files of one job. Nothing is written before create()."""

    def __init__(self, job, backend):
        base = os.path.basename(job.log_pattern)
        if job.name:
            base = base.replace(f".{job.name}.", ".").replace(job.name, "")
        self.name = os.path.splitext(base)[0].strip(".") or "job"
        folder = os.path.dirname(os.path.abspath(os.path.join(working_folder(), job.log_pattern)))
        self.log_folder = folder
        self.path = os.path.join(folder, "q", f"{self.name}.{time.strftime('%Y%m%d%H%M%S')}.{os.getpid()}")
        self.scheduler_log = os.path.join(self.path, "scheduler.log")
        self.job, self.backend = job, backend
        self.succeeded = {}  # {task: 0}: these are not read again

    def create(self):
        """Write what the tasks need. A folder that cannot be written ends the program."""
        job, task_number = self.job, self.job.name
        if task_number and task_number in self.log_folder:  # the folder of a log holds the number of the task
            self.make_log_folders()
        try:
            os.makedirs(os.path.join(self.path, "status"))
            with open(os.path.join(self.path, "job.json"), "w", encoding="utf-8") as stream:
                json.dump({
                    "backend": self.backend.name, "program": program(), "command": job.shell_text, "name": job.name,
                    "log": job.log_pattern, "folder": working_folder(), "threads": job.number("num-threads", 1),
                    "nodes": job.number("num-nodes", 1), "requeue": job.flag("requeue"),
                    "gpus": job.number("gpu", 0), "hosts": job.options.get("host", ""),
                    "remote": self.backend.remote_words(),
                }, stream)  # fmt: skip
            for task in job.tasks():
                if os.path.lexists(job.log(task)):  # or the log of an earlier call would be shown for this one's
                    os.unlink(job.log(task))
            variables = "\0".join(f"{name}={value}" for name, value in os.environ.items())
            secret = os.open(os.path.join(self.path, "environment"), os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(secret, "wb") as stream:
                stream.write(os.fsencode(variables))
        except OSError as error:
            fail(f"cannot write the log folder {self.log_folder}: {error.strerror} ({error.filename})")

    def make_log_folders(self):
        """Each task may have its own folder of logs; the job's folder then lies above them."""
        above = self.log_folder[: self.log_folder.index(self.job.name)]
        self.path = os.path.join(os.path.dirname(above), "q", os.path.basename(self.path))
        self.scheduler_log = os.path.join(self.path, "scheduler.log")

    def script_path(self, first):
        """Where the script lies that begins with this task."""
        return os.path.join(self.path, f"{first}.sh")

    def script(self, first, last, index, offset):
        """The text of the script that runs the tasks first..last; index is how the scheduler tells the shell the
        number in the array ("" for a job that is no array), offset what is to be added to it."""
        task = str(first) if not index else f'"$(({index} + {offset}))"' if offset else f'"{index}"'
        job = self.job
        tasks = f"tasks {job.name}={first}:{last}" if index else f"task {first}"
        command = job.shell_text.replace("\n", " ")
        runner = [f"{UTILS}/python.sh", "-SE", f"{UTILS}/job_task.py", self.path]
        return (
            "#!/usr/bin/env bash\n"
            f"# {program()}, {tasks}: {command}\n"
            f"# log: {job.log_pattern}\n"
            f"cd {shlex.quote(working_folder())} || exit 1\n"
            f"exec {' '.join(shlex.quote(word) for word in runner)} {task}\n"
        )

    def write_script(self, first, text):
        """Write a script that can be run. Returns its path."""
        path = self.script_path(first)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(path, 0o755)
        return path

    def statuses(self):
        """{task: exit code} of the tasks that have ended so far (a requeued one takes its status back)."""
        folder, statuses = os.path.join(self.path, "status"), {}
        # A file that comes and goes makes a client of NFS forget what it remembers of the folder.
        probe = os.path.join(folder, ".look")
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT))
            os.unlink(probe)
            names = os.listdir(folder)
        except OSError as error:
            sys.stderr.write(f"{program()}: warning: cannot read {folder}: {error.strerror}\n")
            return statuses
        for name in names:
            if name.isdigit() and int(name) not in self.succeeded:
                self.read_status(folder, name, statuses)
        statuses.update(self.succeeded)
        return statuses

    def started(self):
        """The tasks that have started at least once."""
        try:
            return {int(name) for name in os.listdir(os.path.join(self.path, "started")) if name.isdigit()}
        except OSError:
            return set()  # none yet

    def read_status(self, folder, name, statuses):
        """Read one status file into found; success is read once only."""
        try:
            with open(os.path.join(folder, name), encoding="ascii") as stream:
                code = int(stream.read().split()[0])
        except (OSError, ValueError, IndexError):
            return  # just being taken back
        statuses[int(name)] = code
        if code == 0:
            self.succeeded[int(name)] = 0

    def remove(self, everything):
        """Remove the environment, and with it what only the scheduler needed where all went well."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.path, "environment"))
        if everything:
            shutil.rmtree(self.path, ignore_errors=True)
            with contextlib.suppress(OSError):  # other jobs may be there
                os.rmdir(os.path.dirname(self.path))
