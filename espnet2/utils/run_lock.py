"""One run at a time in a folder: a file that says who is at work there, on whatever node, over NFS too.

A lock is a file made whole by `link`, which NFS makes once only (open(2), O_EXCL). Its holder touches it now and then.
It is dead where the process is gone (same machine) or has not touched it for long (another machine); then it is taken
over. Standard library only: the shell's supervisor uses it too.
"""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from espnet2.utils.schedulers import first_value, job_variables, restarts_variables

LOCK_NAME = ".run_lock"
BEAT_SECONDS = 30.0  # between two touches
DEAD_SECONDS = 300.0  # without a touch, of a holder on another machine: ten beats


class LockedError(Exception):
    """Another run is at work; the message says who, where and since when."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    host: str
    process_space: str  # boot and process namespace: where process ids mean the same
    process: int
    started: str  # of that process, in clock ticks since boot: process ids come again
    since: str  # local time
    job: str  # of a cluster; "" outside
    restart: str  # how often the queue has started that job before: it takes its own lock again
    command: str

    @classmethod
    def of(cls, process: int, command: str) -> "Holder":
        """A process of this machine."""
        job, restart = (first_value(os.environ, names) for names in (job_variables(), restarts_variables()))
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(socket.gethostname(), process_space(), process, process_start(process), since, job, restart, command)

    @classmethod
    def read(cls, path: Path) -> "Holder | None":
        """Of a lock file; None where there is none, or it says nothing."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_same_process(self, other: "Holder") -> bool:
        """Whether both are one process, whenever it asked."""
        return (self.process_space, self.process, self.started) == (other.process_space, other.process, other.started)


def process_space() -> str:
    """Where process ids mean the same: this boot of this machine, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def process_start(process: int) -> str:
    """When a process of this machine began; "" where it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rsplit(b")", 1)[1].split()
        return "" if fields[0] == b"Z" else fields[19].decode("ascii")
    except (OSError, IndexError):
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "alive"
    return "" if Path("/proc/self/stat").exists() else "alive"


def take(folder: str | Path, command: str, *, process: int | None = None, name: str = LOCK_NAME) -> str:
    """Lock a folder for a process; a lock that this process holds already stays.

    Args:
        folder: is made if need be.
        command: what runs, for the message that others get.
        process: this one, or the one that answers for it.

    Returns:
        "", or a line about the dead run whose lock was taken over.

    Raises:
        LockedError: another run is at work there.
    """
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Holder.of(process or os.getpid(), command)
    told = ""
    while not _create(path, holder):
        other = Holder.read(path)
        if other is not None and other.is_same_process(holder):
            return told
        if other is not None and not _is_dead(path, other, holder):
            raise LockedError(_at_work(path, other))
        if _remove_dead(path, other) and other is not None:
            told = f"{folder}: the run of {_who(other)} ended without a word; its lock is taken over"
    return told


def release(folder: str | Path, *, process: int | None = None, name: str = LOCK_NAME) -> None:
    """Remove the lock of a process; another's stays."""
    path = Path(folder) / name
    holder = Holder.read(path)
    if holder is not None and holder.is_same_process(Holder.of(process or os.getpid(), "")):
        path.unlink(missing_ok=True)


def beat(folder: str | Path, *, name: str = LOCK_NAME) -> None:
    """Show that the holder lives: the time of the file, by the clock of the file server."""
    with suppress(OSError):
        os.utime(Path(folder) / name)


@contextmanager
def held(folder: str | Path, command: str = "") -> Iterator[str]:
    """Hold a folder while the block runs; a thread shows that this process lives. Gives what `take` returns.

    Raises:
        LockedError: another run is at work there.
    """
    told = take(folder, command or " ".join(sys.argv))
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(BEAT_SECONDS):
            beat(folder)

    threading.Thread(target=keep, name="run_lock", daemon=True).start()
    try:
        yield told
    finally:
        ended.set()
        release(folder)


def _create(path: Path, holder: Holder) -> bool:
    """Make the file, whole, unless it is there."""
    handle, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(asdict(holder), stream)
        os.chmod(temporary, 0o644)  # others must be able to read who it is
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            with suppress(FileExistsError), open(path, "x", encoding="utf-8") as stream:
                json.dump(asdict(holder), stream)
                return True
            return False
        return True
    finally:
        os.unlink(temporary)


def _is_dead(path: Path, other: Holder, ours: Holder) -> bool:
    """Whether the holder is gone, or was this very job before it was put back into the queue."""
    if other.process_space == ours.process_space:
        return process_start(other.process) != other.started
    if other.job and other.job == ours.job and other.restart != ours.restart:
        return True
    with tempfile.NamedTemporaryFile(prefix=f"{path.name}.", dir=path.parent) as now:  # by the same clock
        try:
            return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime > DEAD_SECONDS
        except FileNotFoundError:
            return True


def _remove_dead(path: Path, dead: Holder | None) -> bool:
    """Take a dead lock away; False where it was not there any more. A live one that came meanwhile is put back."""
    aside = path.with_name(f"{path.name}.dead.{socket.gethostname()}.{os.getpid()}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    if Holder.read(aside) != dead:
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return True


def _who(holder: Holder) -> str:
    job = f", job {holder.job}" if holder.job else ""
    return f"process {holder.process} on {holder.host}{job}, since {holder.since} ({holder.command[:120]})"


def _at_work(path: Path, holder: Holder) -> str:
    elsewhere = holder.process_space != process_space()
    stale = f"; if you know that it is gone, remove {path}" if elsewhere else ""
    return f"{path.parent}: another run is at work here: {_who(holder)}; wait for it or stop it first{stale}"
