"""A job's folder and the number of a task -> the task run on this node, its log, and its exit status for the submitter.

Usage: utils/job_task.py <folder> <task> [<node rank, or - for what the scheduler says>]

Without a rank this is what the scheduler starts; with one it is started by that on each node of a job over several.
"""

import contextlib
import json
import os
import signal
import sys
import time

from . import backends, job_command, job_process
from .job_nodes import Nodes

FORWARDED = {  # signal that arrives: signal that the command gets
    signal.SIGUSR1: signal.SIGUSR1,
    signal.SIGUSR2: signal.SIGUSR1,  # Grid Engine's -notify: the end is near
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,  # the connection of ssh is gone
    signal.SIGXCPU: signal.SIGTERM,
}


class Task:
    """One task on this node."""

    def __init__(self, folder, task):
        self.folder, self.task = folder, task
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as stream:
            self.job = json.load(stream)
        self.backend = backends.by_name(self.job["backend"])
        self.process = 0  # bash at work, and its process group
        self.is_node = False  # one of several nodes; otherwise what the scheduler has started
        self.received = set()  # signals
        sys.argv[0] = self.job["program"]

    def path(self, kind):
        """The path of a file of this task: status, started, nodes."""
        return os.path.join(self.folder, kind, str(self.task))

    def write(self, kind, text):
        """Write such a file, whole or not at all."""
        os.makedirs(os.path.join(self.folder, kind), exist_ok=True)
        beside = os.path.join(self.folder, kind, f".{self.task}.{os.getpid()}")
        with open(beside, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, self.path(kind))

    def read(self, kind, otherwise):
        """Such a file's text."""
        try:
            with open(self.path(kind), encoding="utf-8") as stream:
                return stream.read()
        except OSError:
            return otherwise

    def command(self):
        """The command of the user for this task."""
        name = self.job["name"]
        return self.job["command"].replace(name, str(self.task)) if name else self.job["command"]

    def log(self):
        """The log of this task."""
        name = self.job["name"]
        return self.job["log"].replace(name, str(self.task)) if name else self.job["log"]

    def environment(self, hosts, rank, restarts, job_id):
        """The submitter's variables, with those of the node and the scheduler from here, and CLUSTER_*."""
        with open(os.path.join(self.folder, "environment"), "rb") as stream:
            pairs = [os.fsdecode(pair).partition("=") for pair in stream.read().split(b"\0") if pair]
        of_the_node = backends.variables_of_the_node()
        variables = {name: value for name, _, value in pairs if not of_the_node.match(name)}
        variables.update({name: value for name, value in os.environ.items() if of_the_node.match(name)})
        variables.update(
            CLUSTER_BACKEND=self.job["backend"], CLUSTER_JOB=job_id, CLUSTER_HOSTS=" ".join(hosts),
            CLUSTER_NUM_NODES=str(len(hosts)), CLUSTER_NODE_RANK=str(rank), CLUSTER_RESTARTS=str(restarts),
            CLUSTER_REQUEUE="true" if self.job["requeue"] else "false",
        )  # fmt: skip
        return variables

    def count_starts(self):
        """How often this task was started before: by the scheduler, or by our own count where it is higher."""
        before = int(self.read("started", "0"))
        self.write("started", str(before + 1))
        return max(before, self.backend.restarts() or 0)

    def forward(self, number, _):
        """Pass a signal on to what is at work."""
        self.received.add(number)
        several = self.job["nodes"] > 1 and not self.is_node
        self.send(signal.SIGUSR1 if several and not self.backend.passes_sigterm else FORWARDED[number])

    def start(self, shell_text, output, variables=None):
        """Start bash on shell text, in a group that gets each signal once: from us, not from the scheduler too."""
        self.process = job_process.start(shell_text, output, variables)
        self.guard = job_process.guard(self.process)
        if self.received:  # between the first instruction and here
            self.send(signal.SIGTERM)

    def send(self, number):
        """Send a signal to all that the task has started."""
        if self.process:
            job_process.send(self.process, number)

    def linger(self):
        """After a signal programs may outlive their shell, as they are saving: wait for them, but not for ever."""
        if self.received:
            job_process.linger(self.process)
        with contextlib.suppress(OSError):
            os.write(self.guard, b".")

    def run_command(self, output, variables):
        """Run the command of the user here. Returns its wait() status."""
        self.start(self.command(), output, variables)
        status = os.waitpid(self.process, 0)[1]
        self.linger()
        ended = self.received & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU}
        return status or (signal.SIGTERM if ended else 0)  # what was told to end has not done its work

    def run(self):
        """Run the whole task. Returns the exit code for the scheduler."""
        restarts = self.count_starts()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("status"))
        log = job_command.open_log(self.log(), self.command(), again=restarts > 0)
        began = time.time()
        try:
            hosts = self.backend.hosts(self.job)[: self.job["nodes"]]
            job_id = self.backend.job_variable() or f"{hosts[0].split('.')[0]}{os.getpid()}"
            if self.job["nodes"] == 1:
                status = self.run_command(log, self.environment(hosts[:1], 0, restarts, job_id))
            else:
                status = Nodes(self, hosts, restarts, job_id).run(log)
        except Exception as error:
            os.write(log, f"# {self.job['program']}: {type(error).__name__}: {error}\n".encode())
            status = 1 << 8
        job_command.close_log(log, status >> 8, status & 127, time.time() - began, self.job["threads"])
        code = job_process.exit_code(status)
        self.write("status", f"{code} {restarts}\n")
        return self.code_for_scheduler(code)

    def code_for_scheduler(self, code):
        """99 where the task wants to be started again, else 0 or 1: other codes mean something to some scheduler."""
        if code == job_command.REQUEUE_CODE and self.job["requeue"]:
            # After SIGTERM the scheduler has already decided whether the job comes back: a cancelled one must not.
            return 99 if signal.SIGTERM in self.received else self.backend.requeue()
        return min(code, 1)

    def run_node(self, rank):
        """Run the command on this node of several; the exit status goes into a file, the output to our own."""
        self.is_node = True
        node = json.loads(self.read("nodes", "{}"))
        rank = self.backend.rank() if rank == "-" else int(rank)
        os.chdir(self.job["folder"])
        output = 1
        if self.backend.node_output == "log":
            output = os.open(self.log(), os.O_WRONLY | os.O_APPEND)
        elif os.isatty(1):
            plain_terminal()
        variables = self.environment(node["hosts"], rank, node["restarts"], node["job"])
        code = job_process.exit_code(self.run_command(output, variables))
        self.write(f"node{rank}", str(code))
        return 0  # the file counts; srun and its kin end other nodes on anything else


def plain_terminal():
    """Lines pass through the pseudo-terminal of ssh -tt as they are."""
    import termios

    mode = termios.tcgetattr(1)
    mode[1] &= ~termios.OPOST
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(1, termios.TCSANOW, mode)


def main(arguments):
    task = Task(arguments[0], int(arguments[1]))
    for number in FORWARDED:
        signal.signal(number, task.forward)
    return task.run_node(arguments[2]) if len(arguments) > 2 else task.run()
