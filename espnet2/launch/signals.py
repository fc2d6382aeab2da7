"""SIGTERM and SIGUSR1 in, a flag the trainer reads between updates out."""

import signal
from types import FrameType

REQUEUE_EXIT_CODE = 99  # Grid Engine puts a job that exits so back into its queue; cmd.sh maps it for other queues


class StopSignals:
    """Remembers that the queue wants its machine back."""

    def __init__(self) -> None:
        self.received: str | None = None

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
        self.received = signal.Signals(number).name
