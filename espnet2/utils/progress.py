"""Lines that tell how far a long job is, how fast, and when it ends."""

import sys
import time
from collections.abc import Callable

LINE_SECONDS = 10.0  # between two lines
UTTERANCE_SECONDS = 30.0


class Pace:
    """The clock of a long job: when the next line is due, and how long the rest will take."""

    def __init__(self, seconds: float = LINE_SECONDS) -> None:
        self.seconds = seconds  # between two lines
        self.began = self.told = time.monotonic()

    def is_due(self, *, is_last: bool = False) -> bool:
        """Whether it is time for a line; if so, the next one is due `seconds` from now."""
        now = time.monotonic()
        if now - self.told < self.seconds and not is_last:
            return False
        self.told = now
        return True

    @property
    def elapsed_seconds(self) -> float:
        """From the beginning to the line that is due."""
        return max(self.told - self.began, 1e-6)

    def left_seconds(self, done: float, total: float) -> float:
        """How long the rest takes if it is as fast."""
        return self.elapsed_seconds * (total / max(done, 1e-9) - 1)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Of things that are counted: how many are done, how fast, how long the rest will take."""

    def __init__(self, what: str, total: int | None = None, *, report: Callable[[str], None] = _say) -> None:
        self.what, self.total, self.done, self.report = what, total, 0, report
        self.pace = Pace()

    def add(self, count: int = 1) -> None:
        """Note that `count` more are done."""
        self.done += count
        if self.pace.is_due():
            rate = self.done / self.pace.elapsed_seconds
            rest = ""
            if self.total:
                rest = f" of {self.total:,}, about {self.pace.left_seconds(self.done, self.total):.0f} s left"
            self.report(f"{self.what}: {self.done:,}{rest} ({rate:,.0f} per second)")


class AudioProgress:
    """Of seconds of audio: what share is done, how much faster than real time, how long the rest will take."""

    def __init__(self, what: str, total_seconds: float, report: Callable[[str], None] = _say) -> None:
        self.what, self.total_seconds, self.report = what, total_seconds, report
        self.done_seconds = 0.0
        self.pace = Pace()

    def add(self, audio_seconds: float) -> None:
        """Note that so much audio is done."""
        self.done_seconds += audio_seconds
        if self.pace.is_due():
            speed = self.done_seconds / self.pace.elapsed_seconds
            share = self.done_seconds / max(self.total_seconds, 1e-9)
            left = self.pace.left_seconds(self.done_seconds, self.total_seconds)
            self.report(f"{self.what}: {100 * share:.0f} %, {speed:.0f} x real time, {left:.0f} s left")


class UtteranceProgress:
    """Of utterances of known length: how many are done, how much faster than real time, how long the rest will take."""

    def __init__(self, total: int, sample_rate: int, *, report: Callable[[str], None] = _say) -> None:
        self.total, self.sample_rate, self.report = total, sample_rate, report
        self.pace = Pace(UTTERANCE_SECONDS)

    def show(self, done: int, num_samples: int) -> None:
        """Note how many utterances of how many samples are done in all; the last one always gives a line."""
        if self.pace.is_due(is_last=done >= self.total):
            speed = num_samples / self.sample_rate / self.pace.elapsed_seconds
            left = self.pace.left_seconds(done, self.total)
            self.report(f"{done:,} of {self.total:,} utterances, {speed:,.0f} times real time, {left:.0f} s left")
