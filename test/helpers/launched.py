"""A way to end in, a process that ends so out: what test_launch.py starts several of."""

import os
import signal
import sys
import time
from pathlib import Path

from espnet2.launch.signals import REQUEUE_EXIT_CODE, StopSignals


def main(how: str, folder: str) -> int:
    """stop: note that it runs, wait for a signal, note it. kill: rank 1 is killed. A number: the status of rank 1."""
    rank = os.environ["RANK"]
    stop = StopSignals().install()
    (Path(folder) / f"running{rank}").touch()
    if how == "kill" and rank == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    if how.isdigit():
        return int(how) if rank == "1" else 0
    while stop.received is None:
        time.sleep(0.02)
    time.sleep(0.5)  # it saves, while the queue sends its signal again
    (Path(folder) / f"stopped{rank}").write_text(f"{stop.received} {os.environ['WORLD_SIZE']}")
    return REQUEUE_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
