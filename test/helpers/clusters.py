"""The name of a scheduler in, a private one running on this machine out, with what a submitter's environment needs."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from packages import require_packages
from repository import ROOT

SCRIPTS = ROOT / "test" / "cluster"
PACKAGES = {"slurm": "slurm", "slurm_netns": "slurm", "grid_engine": "grid_engine", "sshd": "ssh"}
PROGRAMS = {"slurm": "slurm.pl", "slurm_netns": "slurm.pl", "grid_engine": "queue.pl", "sshd": "ssh.pl"}


def free_ports() -> int:
    """The first of five ports in a row that nobody uses; below those that the kernel gives to clients."""
    for first in range(18000 + os.getpid() % 1000 * 10, 32000, 10):
        with ExitStack() as sockets:
            try:
                for port in range(first, first + 5):
                    sockets.enter_context(socket.socket()).bind(("", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no five free ports in a row")


class Cluster:
    """A running scheduler: its environment, its folder, and its start script."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.program = str(ROOT / "utils" / PROGRAMS[name])
        self.environment = dict(os.environ)
        # Several test processes may have their own clusters at the same time.
        number = os.getpid() % 200
        self.variables = {
            "folder": str(folder), "port": str(free_ports()), "network": f"10.213.{number}", "prefix": f"ct{number}",
        }  # fmt: skip

    def do(self, *words: str) -> None:
        """Run the start script: start, stop, controller, master, node <name>."""
        output = self.folder.with_suffix(".out")
        with output.open("ab") as stream:
            command = [str(SCRIPTS / f"{self.name}.sh"), *words]
            environment = {**os.environ, **self.variables}
            code = subprocess.run(command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, env=environment,
                                  timeout=120, check=False).returncode  # fmt: skip
        assert code == 0, f"{self.name}.sh {words}: {output.read_text()[-2000:]}"

    def learn_environment(self) -> None:
        """What a submit host of this scheduler has."""
        if self.name.startswith("slurm"):
            self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")
        elif self.name == "grid_engine":
            for line in (self.folder / "default/common/settings.sh").read_text().splitlines():
                key, _, value = line.split(";")[0].partition("=")
                self.environment[key] = value
        else:
            self.environment["PATH"] = f"{self.folder / 'bin'}:{self.environment['PATH']}"

    def call(self, *words: str) -> str:
        """The output of a program of the scheduler."""
        result = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return result.stdout + result.stderr

    def start(self, folder: Path, *arguments: object) -> subprocess.Popen:
        """Start the .pl program of this scheduler in a folder; its messages go to a pipe."""
        words = [self.program, *map(str, arguments)]
        return subprocess.Popen(words, cwd=folder, env=self.environment, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def run(self, folder: Path, *arguments: object, seconds: float = 120) -> subprocess.CompletedProcess:
        """Run it to its end."""
        process = self.start(folder, *arguments)
        return finish(process, seconds)

    def kill_process(self, pid_file: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a daemon of this cluster."""
        os.kill(int((self.folder / pid_file).read_text()), number)


def finish(process: subprocess.Popen, seconds: float = 120) -> subprocess.CompletedProcess:
    """Wait for a program started by Cluster.start()."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, errors = process.communicate(timeout=60)
        raise AssertionError(f"no end after {seconds} s: {output}{errors}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def wait_until(true: Callable[[], object], seconds: float = 60, what: str = "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what or true} does not come true in {seconds} s"
        time.sleep(0.1)


@contextmanager
def running(name: str) -> Iterator[Cluster]:
    """Start a scheduler; install its packages first where that is possible, else the test says that it was skipped."""
    require_packages(PACKAGES[name])
    if name == "slurm_netns" and os.geteuid() != 0:
        raise unittest.SkipTest("NOT RUN: only root can give nodes their own network")
    # Not below pytest's folder: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix=f"{name}.") as above:
        cluster = Cluster(name, Path(above) / "c")
        os.chmod(above, 0o755)
        try:
            cluster.do("start")
            cluster.learn_environment()
            yield cluster
        finally:
            cluster.do("stop")
