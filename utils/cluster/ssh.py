"""Hosts with slots and one ssh connection per task: no scheduler, but a shared file system and keys without a
password. A job over several nodes is started from here, on the first hosts of the list."""

import os
import shlex
import signal
import time

from . import job_process
from .backend import Backend, Entry, Final
from .job_command import fail


class Host:
    """A host and which of its slots are in use."""

    def __init__(self, name, slots):
        self.name, self.slots, self.used = name, slots, set()


class Running:
    """A task at work: its process here, its host and slot."""

    def __init__(self, process, host, slot, said):
        self.process, self.host, self.slot, self.said = process, host, slot, said


class Ssh(Backend):
    name, title = "ssh", "ssh"
    usual_config = "conf/ssh.conf"
    built_in_config = """
        command ssh -tt -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3
        option time=*
        option mem=*
        option num_threads=*
        option num_nodes=*
        option gpu=*
        option requeue=*
    """
    index = "$1"
    asking_order = 50
    variables = ("SSH_",)
    requeues = False
    others_serve = False
    query_seconds = 0.1
    usual_array_limit = 10**9

    def prepare(self, job):
        job.options["host"] = text = self.config.value(job.options, "host")
        if not text:
            fail("no hosts: give --host h1:4,h2:4 (host:slots), or a line 'default host=h1:4,h2:4' in conf/ssh.conf")
        self.hosts_here = [Host(name, slots) for name, slots in parsed_hosts(text)]
        self.gpus, self.nodes = job.number("gpu", 0), job.number("num-nodes", 1)
        if self.nodes > len(self.hosts_here):
            fail(f"--num-nodes {self.nodes}, but the list of hosts {text} has {len(self.hosts_here)}")
        for host in self.hosts_here:
            if self.gpus > host.slots:
                fail(f"--gpu {self.gpus}, but host {host.name} has {host.slots} slots")
            host.slots //= max(1, self.gpus)  # with --gpu a slot is a GPU
        self.waiting, self.running, self.ended, self.jobs = [], {}, {}, 0

    def remote_words(self):
        return self.config.command

    def submit_words(self, words, name, array, output):
        self.limit, self.output = array[2] if array else 0, os.path.dirname(output)
        self.indices = list(range(array[0], array[1] + 1)) if array else [0]
        return words

    def on_host(self, words, host, slot, script, index):
        """The command line that runs a task on a host."""
        if self.nodes > 1:
            return ["bash", script]
        gpus = range(slot * self.gpus, (slot + 1) * self.gpus)
        variables = [f"CLUSTER_HOST={host.name}"]
        if self.gpus:
            variables.append("CUDA_VISIBLE_DEVICES=" + ",".join(map(str, gpus)))
        remote = ["env", *variables, "bash", script, *([str(index)] if index else [])]
        return [*words, host.name, "exec " + " ".join(map(shlex.quote, remote))]

    def line(self, words, script):
        return self.on_host(words, self.hosts_here[0], 0, script, self.indices[0])

    def submit(self, words, script):
        self.jobs += 1
        job_id = str(self.jobs)
        self.waiting += [(job_id, index, words, script) for index in self.indices]
        self.start_waiting()
        return job_id

    def start_waiting(self):
        """Fill the free slots: always the host with the most of them, in the order of the list."""
        while self.waiting and not (self.limit and len(self.running) >= self.limit):
            host = max(self.hosts_here, key=lambda host: host.slots - len(host.used))
            if len(host.used) >= host.slots or (self.nodes > 1 and self.running):
                return
            job_id, index, words, script = self.waiting.pop(0)
            slot = min(set(range(host.slots)) - host.used)
            host.used.add(slot)
            said = os.path.join(self.output, f"ssh.{job_id}.{index}")
            output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            command = " ".join(map(shlex.quote, self.on_host(words, host, slot, script, index)))
            process = job_process.start(f"exec {command} < /dev/null", output)
            os.close(output)
            self.running[job_id, index] = Running(process, host, slot, said)

    def reap(self):
        """Take note of what has ended."""
        for key, task in list(self.running.items()):
            process, status = os.waitpid(task.process, os.WNOHANG)
            if process:
                task.host.used.discard(task.slot)
                del self.running[key]
                self.ended[key] = self.final(task, job_process.exit_code(status))

    def final(self, task, code):
        """How a connection ended -> Final."""
        try:
            with open(task.said, encoding="utf-8", errors="replace") as stream:
                said = stream.read().strip().splitlines()
        except OSError:
            said = []
        words = f": {said[-1].strip()}" if said else ""
        where = f"host {task.host.name}" if self.nodes == 1 else "this host"
        if code in (255, 128 + signal.SIGHUP, 128 + signal.SIGTERM, 128 + signal.SIGKILL):
            return Final(f"{where}: the connection failed or was lost (exit code {code}){words}", cut_off=True)
        return Final(f"{where}{words}" if code else "", cut_off=bool(code and said))

    def ask(self, job_ids):
        self.reap()
        self.start_waiting()
        entries = [Entry(key[0], [key[1]], "running", task.host.name) for key, task in self.running.items()]
        return entries + [Entry(job_id, [index], "pending", "slots") for job_id, index, _, _ in self.waiting]

    def explain(self, job_ids, tasks):
        return self.ended

    def cancel(self, job_ids, tasks=()):
        """The end of the connection ends the remote task: -tt makes sshd hang up on it."""
        self.waiting = []
        for task in self.running.values():
            job_process.send(task.process, signal.SIGTERM)
        deadline = time.time() + job_process.GRACE_SECONDS
        while self.running and time.time() < deadline:
            self.reap()
            time.sleep(0.05)

    # On a host.

    def hosts(self, job):
        if job["nodes"] > 1:
            return [name for name, _ in parsed_hosts(job["hosts"])]
        return [os.environ.get("CLUSTER_HOST") or os.uname().nodename]

    def node_commands(self, hosts, words, job):
        gpus = ["env", "CUDA_VISIBLE_DEVICES=" + ",".join(map(str, range(job["gpus"])))] if job["gpus"] else []
        commands = []
        for rank, host in enumerate(hosts):
            remote = " ".join(shlex.quote(word) for word in [*gpus, *words, str(rank)])
            commands.append([*job["remote"], host, f"exec {remote}"])
        return commands


def parsed_hosts(text):
    """ "h1:4,h2" -> [("h1", 4), ("h2", 1)]."""
    hosts = []
    for part in text.replace(",", " ").split():
        name, colon, slots = part.partition(":")
        if not name or (colon and not (slots.isdigit() and int(slots) > 0)):
            fail(f"bad host '{part}' in --host {text}: expected name:slots, as in h1:4,h2:4")
        hosts.append((name, int(slots or 1)))
    return hosts
