"""Lines that tell how far a long job is, how fast, and when it ends."""

import sys
import time
from collections.abc import Callable

PROGRESS_SECONDS = 10.0  # between two lines
UTTERANCE_SECONDS = 30.0


class Progress:
    """A line every few seconds: what is done, how fast, when it ends."""

    def __init__(self, what: str, total_seconds: float, report: Callable[[str], None]) -> None:
        self.what = what
        self.total_seconds = total_seconds  # of audio
        self.report = report
        self.done_seconds = 0.0
        self.began = self.told = time.monotonic()

    def add(self, audio_seconds: float) -> None:
        """Note that so much audio is done."""
        self.done_seconds += audio_seconds
        now = time.monotonic()
        if now - self.told >= PROGRESS_SECONDS:
            self.told = now
            speed = self.done_seconds / (now - self.began)
            share = self.done_seconds / max(self.total_seconds, 1e-9)
            left = (self.total_seconds - self.done_seconds) / speed
            self.report(f"{self.what}: {100 * share:.0f} %, {speed:.0f} x real time, {left:.0f} s left")


class UtteranceProgress:
    """A line every half minute: how far, how fast, how long still."""

    def __init__(self, total: int, sample_rate: int) -> None:
        self.total, self.sample_rate = total, sample_rate
        self.start = self.shown = time.monotonic()

    def show(self, done: int, num_samples: int) -> None:
        now = time.monotonic()
        if now - self.shown < UTTERANCE_SECONDS and done < self.total:
            return
        self.shown = now
        elapsed = max(now - self.start, 1e-6)
        left = elapsed / done * (self.total - done)
        speed = num_samples / self.sample_rate / elapsed
        print(
            f"{done:,} of {self.total:,} utterances, {speed:,.0f} times real time, {left:.0f} s left",
            file=sys.stderr, flush=True,
        )  # fmt: skip
