"""A task over several nodes: the command, started once on each, and one exit status for all of them."""

import json
import os
import shlex
import signal
import time

from .folder import UTILS

GRACE_SECONDS = 60  # for the other nodes once one has ended badly; then SIGTERM
KILL_SECONDS = 60  # after SIGTERM
FILE_SECONDS = 15  # for the exit status of a node to become visible (NFS)
REQUEUE_CODE = 99


class Nodes:
    """The nodes of one task: how they are started, which have ended, and how."""

    def __init__(self, task, hosts, restarts, job_id):
        self.task, self.hosts = task, hosts
        self.codes, self.lost_since = {}, {}  # by rank
        task.write("nodes", json.dumps({"hosts": hosts, "restarts": restarts, "job": job_id}))
        for rank in range(len(hosts)):
            for kind in (f"node{rank}", f"start{rank}"):
                try:
                    os.unlink(task.path(kind))
                except FileNotFoundError:
                    os.makedirs(os.path.join(task.folder, kind), exist_ok=True)

    def shell_text(self):
        """What starts the command on all nodes; how each start ended goes into a file of its own."""
        words = [f"{UTILS}/python.sh", "-SE", f"{UTILS}/job_task.py", self.task.folder, str(self.task.task)]
        commands = self.task.backend.node_commands(self.hosts, words, self.task.job)
        lines = []
        for rank, command in enumerate(commands):
            shown = " ".join(map(shlex.quote, command))
            path = shlex.quote(self.task.path(f"start{rank}"))
            lines.append(f"{{ {shown} < /dev/null; echo $? > {path}; }} &")
        return "\n".join([*lines, "wait", ""])

    def run(self, log):
        """Start, wait, and end the others when one ends badly. Returns a wait() status."""
        task = self.task
        if len(self.hosts) < task.job["nodes"]:
            raise RuntimeError(f"the job has the nodes {' '.join(self.hosts)} only, {task.job['nodes']} were asked for")
        task.start(self.shell_text(), log)
        bad_since, told = 0.0, 0
        while not self.reap():
            self.collect(log)
            if not bad_since and any(self.codes.values()):
                bad_since = time.time()
            limits = ((GRACE_SECONDS, signal.SIGTERM), (GRACE_SECONDS + KILL_SECONDS, signal.SIGKILL))
            if bad_since and told < 2 and time.time() - bad_since > limits[told][0]:
                task.send(limits[told][1])
                told += 1
            time.sleep(0.2)
        task.linger()
        self.await_files(log)
        return self.status()

    def reap(self):
        """Whether the shell that started the nodes has ended."""
        try:
            return os.waitpid(self.task.process, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def collect(self, log):
        """Read the exit codes that are there; a node whose start ended without one is lost."""
        for rank, host in enumerate(self.hosts):
            text = self.task.read(f"node{rank}", "")
            if rank not in self.codes and text:
                self.codes[rank] = int(text)
            ended = self.task.read(f"start{rank}", "").strip()
            if rank in self.codes or not ended:
                continue
            since = self.lost_since.setdefault(rank, time.time())
            if time.time() - since > FILE_SECONDS:
                self.codes[rank] = 1
                said = f"what started it there ended with exit code {ended}, and the command left no exit status"
                os.write(log, f"# node {host} (rank {rank}) is lost: {said}\n".encode())

    def await_files(self, log):
        """Wait a while for the exit codes of nodes that have ended; after that a node without one is lost."""
        deadline = time.time() + FILE_SECONDS
        while len(self.codes) < len(self.hosts) and time.time() < deadline:
            self.collect(log)
            time.sleep(0.1)
        for rank, host in enumerate(self.hosts):
            if rank not in self.codes:
                self.codes[rank] = 1
                os.write(log, f"# node {host} (rank {rank}) is lost: it left no exit status\n".encode())

    def status(self):
        """One status for all: 99 where a node asks to be started again, else the first that is not 0."""
        bad = [code for _, code in sorted(self.codes.items()) if code]
        return (REQUEUE_CODE if REQUEUE_CODE in bad else bad[0] if bad else 0) << 8
