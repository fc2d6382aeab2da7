"""A command of wav.scp: run to its end, or ended itself where it stands still."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from espnet2.data.audio.rejected import RejectedAudio

LIMIT_VARIABLE = "WAV_SCP_COMMAND_SECONDS"
# An hour of audio goes through sox or ffmpeg in seconds. What takes longer than this waits for something.
LIMIT_SECONDS = 1800.0


def run_command(command: str, output: IO[bytes]) -> None:
    """Run a command of wav.scp, its standard output into a file.

    Args:
        command: for bash, without the "|" at its end.

    Raises:
        RejectedAudio: it failed, or was not over after LIMIT_SECONDS (or what WAV_SCP_COMMAND_SECONDS says).
    """
    limit = float(os.environ.get(LIMIT_VARIABLE) or LIMIT_SECONDS)
    with tempfile.TemporaryFile() as errors:  # no pipe: what the command leaves running would hold its end open
        process = subprocess.Popen(
            ["bash", "-c", f"set -o pipefail; {command}"], stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            _end(process)
            raise RejectedAudio(
                "command_hung", f"'{command.strip()}' was not over after {limit:g} s and was ended ({LIMIT_VARIABLE})"
            ) from None
        if status != 0:
            errors.seek(0)
            lines = errors.read().decode("utf-8", "replace").strip().splitlines() or ["no message"]
            raise RejectedAudio("command_failed", f"exit code {status} of '{command.strip()}': {lines[-1]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill bash and all that it started; a process group of its own would hide it from who ends this program."""
    for number in [*_below(process.pid), process.pid]:
        try:
            os.kill(number, signal.SIGKILL)
        except OSError:  # gone
            continue
    process.wait()


def _below(process: int) -> list[int]:
    """The processes that a process has started, and those that these have; none where there is no /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_bytes().rsplit(b")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):  # it ended meanwhile
            continue
    below, waiting = [], [process]
    while waiting:
        parent = waiting.pop()
        children = [number for number, its_parent in parents.items() if its_parent == parent]
        below += children
        waiting += children
    return below
