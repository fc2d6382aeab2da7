"""A launch on several hosts by ssh: all ended together, one exit status."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from espnet2.launch.signals import REQUEUE_EXIT_CODE

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
SSH_FAILED = 255  # ssh's own exit status: no connection, or it broke
END_SECONDS = 30  # for the other hosts, once one has ended badly
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
# What a process needs to find its programs and its network; the rest of the environment is each host's own.
PASSED = {"PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LC_ALL", "OMP_NUM_THREADS", "MAIN_ROOT"}
PASSED_PREFIXES = ("PYTHON", "NCCL_", "GLOO_", "TORCH", "CLUSTER_")
PASSED_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


def run_on_hosts(
    hosts: Sequence[tuple[str, int]], launcher: str, options: Sequence[str], command: Sequence[str]
) -> int:
    """Run launch on every host, this one included or not.

    Standard input of each is a pipe: a line with the name of a signal arrives there as that signal; its end, also by
    the death of this process or of the connection, ends the processes there.

    Args:
        hosts: name and number of processes, node 0 first.
        launcher: module of the program that runs on each host: launch itself.
        options: of launch, for all hosts.
        command: "-m", the module and its arguments.

    Returns:
        0; REQUEUE_EXIT_CODE if any host asks for it; else the first other status.
    """
    shared = {"CLUSTER_HOSTS": " ".join(name.rpartition("@")[2] for name, _ in hosts), "CLUSTER_JOB": str(os.getpid())}
    processes = []
    for rank, (name, num_processes) in enumerate(hosts):
        environment = {**shared, "CLUSTER_NODE_RANK": str(rank)}
        words = [sys.executable, "-m", launcher, "--follow_stdin", "--nnodes", str(len(hosts))]
        words += ["--nproc_per_node", str(num_processes), *options, *command]
        processes.append(_start(name, words, environment))

    def forward(number: int, frame: FrameType | None) -> None:
        for process in processes:
            _tell(process, signal.Signals(number).name)

    for number in PASSED_SIGNALS:
        signal.signal(number, forward)
    return _wait([name for name, _ in hosts], processes)


def follow_stdin() -> None:
    """Turn lines on standard input into signals to this process, and its end into SIGHUP (a thread of its own)."""

    def follow() -> None:
        for line in sys.stdin:
            os.kill(os.getpid(), signal.Signals[line.strip()])
        os.kill(os.getpid(), signal.SIGHUP)

    threading.Thread(target=follow, daemon=True).start()


def _start(host: str, words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    if host in LOCAL_NAMES or host == socket.gethostname():
        return subprocess.Popen(words, env={**os.environ, **environment}, stdin=subprocess.PIPE, start_new_session=True)
    passed = {name: value for name, value in os.environ.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    assignments = [f"{name}={value}" for name, value in {**passed, **environment}.items()]
    remote = f"cd {shlex.quote(os.getcwd())} && exec env {shlex.join([*assignments, *words])}"
    return subprocess.Popen([*SSH, host, remote], stdin=subprocess.PIPE, start_new_session=True)


def _tell(process: subprocess.Popen[bytes], line: str) -> None:
    if process.stdin is None:
        raise TypeError("a process without a pipe cannot be told anything")
    try:
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
    except (BrokenPipeError, ValueError):
        pass  # it has ended


def _wait(hosts: Sequence[str], processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one has ended badly the others get a while, then the end of their standard input."""
    statuses: dict[int, int] = {}  # in the order of their ends
    deadline = None
    try:
        while len(statuses) < len(processes):
            for rank, process in enumerate(processes):
                if rank in statuses or process.poll() is None:
                    continue
                statuses[rank] = process.returncode
                if process.returncode not in (0, REQUEUE_EXIT_CODE):
                    _explain(rank, hosts[rank], process.returncode)
                if process.returncode != 0 and deadline is None:
                    deadline = time.monotonic() + END_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                break
            time.sleep(0.05)
    finally:
        _end(process for process in processes if process.poll() is None)
    bad = [status for status in statuses.values() if status != 0]
    return REQUEUE_EXIT_CODE if REQUEUE_EXIT_CODE in bad else bad[0] if bad else 0


def _end(processes) -> None:
    processes = list(processes)
    for process in processes:
        process.stdin.close()
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _explain(rank: int, host: str, status: int) -> None:
    what = f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"
    if status == SSH_FAILED:
        what = f"cannot be reached by ssh, or the connection broke: try 'ssh {host} true' (keys, name, network)"
    print(f"launch: error: node {rank} ({host}) {what}", file=sys.stderr, flush=True)
