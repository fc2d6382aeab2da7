"""Who spoke when, in truth and as it was heard, in; the diarization error rate out: no collar, overlaps count."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from espnet2.superb.classes import NEED
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs


class Turn(NamedTuple):
    """One speaker speaks."""

    speaker: str
    start_seconds: float
    end_seconds: float


class DiarizationErrors(NamedTuple):
    """Seconds times speakers: sums over recordings are divided once."""

    missed: float
    false_alarm: float
    confused: float
    spoken: float

    def __add__(self, other: "DiarizationErrors") -> "DiarizationErrors":  # type: ignore[override]  # of sums, not of tuples
        return DiarizationErrors(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def rate(self) -> float:
        """DER.

        Raises:
            UserError: nobody speaks.
        """
        if self.spoken <= 0:
            raise UserError("nobody speaks in the whole test set: a DER needs speech; check its rttm")
        return (self.missed + self.false_alarm + self.confused) / self.spoken


def diarization_errors(truth: Sequence[Turn], heard: Sequence[Turn]) -> DiarizationErrors:
    """Of one recording: speakers are mapped one to one so that most time is right (NIST md-eval).

    >>> truth = [Turn("a", 0, 10), Turn("b", 10, 20)]
    >>> diarization_errors(truth, [Turn("x", 0, 12), Turn("y", 12, 18)])
    DiarizationErrors(missed=2.0, false_alarm=0.0, confused=2.0, spoken=20.0)
    """
    with needs(NEED):
        from scipy.optimize import linear_sum_assignment
    edges = np.unique([time for turn in (*truth, *heard) for time in turn[1:]])
    if len(edges) < 2:
        return DiarizationErrors(0.0, 0.0, 0.0, 0.0)
    seconds = np.diff(edges)
    reference, hypothesis = _activity(truth, edges), _activity(heard, edges)
    together = np.einsum("rt,ht,t->rh", reference, hypothesis, seconds)
    rows, columns = linear_sum_assignment(-together)
    true, given = reference.sum(0), hypothesis.sum(0)
    right = np.zeros(len(seconds))
    for row, column in zip(rows, columns, strict=True):
        right += reference[row] * hypothesis[column]
    return DiarizationErrors(
        float((np.maximum(true - given, 0) * seconds).sum()),
        float((np.maximum(given - true, 0) * seconds).sum()),
        float(((np.minimum(true, given) - right) * seconds).sum()),
        float((true * seconds).sum()),
    )


def _activity(turns: Sequence[Turn], edges: np.ndarray) -> np.ndarray:
    """(speakers, intervals) 1 where a speaker speaks."""
    speakers = sorted({turn.speaker for turn in turns})
    active = np.zeros((len(speakers), len(edges) - 1))
    for turn in turns:
        first, last = np.searchsorted(edges, (turn.start_seconds, turn.end_seconds))
        active[speakers.index(turn.speaker), first:last] = 1
    return active
