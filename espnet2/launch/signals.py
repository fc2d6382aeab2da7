"""The flag that SIGTERM and SIGUSR1 raise and the trainer reads between updates."""

import _thread
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUEUE_EXIT_CODE = 99  # Grid Engine puts a job that exits so back into its queue; cmd.sh maps it for other queues
# For a batch, once a signal has come: run.pl and the queues kill after a minute or more. A disk that stands still for
# so long gives none any more, and the last checkpoint is all there is.
BATCH_SECONDS = 45.0


class StopSignals:
    """Remembers that the queue wants its machine back."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._waiting_since: float | None = None

    @contextmanager
    def waiting_for_data(self) -> Iterator[None]:
        """While the block runs, a signal ends the process after a while even if no batch comes."""
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = None

    def install(self) -> "StopSignals":
        """Catch the signals from now on (main thread only)."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._receive)
        return self

    def ignore(self) -> None:
        """On the way out: queues send their signals more than once, and the exit status must stay ours."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            # What `threading` makes of it; every training would load that module before it tells its --help.
            _thread.start_new_thread(self._end_standstill, (time.monotonic(),))
        self.received = signal.Signals(number).name

    def _end_standstill(self, signalled_at: float) -> None:
        """End the process where the trainer waits for a batch that does not come."""
        while True:
            since = self._waiting_since
            if since is not None and time.monotonic() - max(since, signalled_at) > BATCH_SECONDS:
                print(
                    f"{self.received}, and no batch came within {BATCH_SECONDS:g} s: ended; the same command "
                    "goes on from the last checkpoint. Does the disk with the audio answer?",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
                os._exit(REQUEUE_EXIT_CODE)
            time.sleep(0.5)
