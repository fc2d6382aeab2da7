"""Stretches of seconds in, stretches of frames out: at which moment of the audio a frame is, by a named rule."""

from abc import ABC, abstractmethod
from fractions import Fraction

import numpy as np

from espnet2.units.quality import WINDOW_SECONDS

NANOSECONDS = 1_000_000_000  # per second: times of files have at most 9 decimals, so that none is rounded


class Clock(ABC):
    """A rule that says which frames lie between two moments."""

    name: str
    rule: str  # in words

    @abstractmethod
    def frames(
        self, starts: np.ndarray, ends: np.ndarray, frame_rate: float, num_frames: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """First frame and the one behind the last of each stretch; as many as the first, or fewer: none.

        Args:
            starts, ends: (stretches,) seconds.
            frame_rate: frames per second.
            num_frames: that the utterance has.
        """


class WindowClock(Clock):
    """The middle of the first 25 ms window, then one step after the other; the end does not belong to a stretch."""

    name = "window"
    rule = "frame i is at i / rate + 12.5 ms, the middle of its 25 ms window"

    def frames(
        self, starts: np.ndarray, ends: np.ndarray, frame_rate: float, num_frames: int
    ) -> tuple[np.ndarray, np.ndarray]:
        centres = np.arange(num_frames) / frame_rate + WINDOW_SECONDS / 2
        return np.searchsorted(centres, starts), np.searchsorted(centres, ends)


class ZeroSpeechClock(Clock):
    """The middle of the step of a frame; both ends belong to a stretch.

    The rule of ZeroSpeech 2021 and Libri-light (Kahn et al. 2020, section 3.1) without the frame that their program
    loses at the end of each item, as in fastabx 0.9.0 (`item_frontiers`). Computed in whole numbers: the moments of
    frames and the times of official files coincide, and a rounding error would move the frame.
    """

    name = "zerospeech"
    rule = "frame i is at (i + 0.5) / rate, the middle of its step"

    def frames(
        self, starts: np.ndarray, ends: np.ndarray, frame_rate: float, num_frames: int
    ) -> tuple[np.ndarray, np.ndarray]:
        rate = Fraction(frame_rate).limit_denominator(10_000)
        # Frame i is inside where start <= (2 i + 1) / (2 rate) <= end; both sides times 2 rate and a second.
        step = 2 * rate.denominator * NANOSECONDS
        first, last = (
            2 * rate.numerator * np.round(np.asarray(seconds) * NANOSECONDS).astype(np.int64) - step // 2
            for seconds in (starts, ends)
        )
        return np.clip(-(-first // step), 0, num_frames), np.clip(last // step + 1, 0, num_frames)


CLOCKS: dict[str, Clock] = {clock.name: clock for clock in (ZeroSpeechClock(), WindowClock())}
