"""Schedules of a teacher's decay: data2vec's straight line (section 4) and SpidR's exponential."""

import math
from collections.abc import Callable

DecaySchedule = Callable[[int], float]  # update (1-based) -> share of the teacher that stays; 1 leaves it as it is


def linear_decay(update: int, *, start: float, end: float, num_updates: int) -> float:
    """From `start` to `end` in a straight line over `num_updates`, then `end` (data2vec, section 4).

    >>> round(linear_decay(15000, start=0.999, end=0.9999, num_updates=30000), 6)
    0.99945
    """
    return start + (end - start) * min(update / num_updates, 1.0)


def exponential_decay(update: int, *, start: float, num_updates: float, negligible: float = 1e-7) -> float:
    """From `start` towards 1 with time constant `num_updates`; 1 once what is missing is negligible (SpidR).

    >>> exponential_decay(184206, start=0.999, num_updates=20000) < 1
    True
    >>> exponential_decay(184207, start=0.999, num_updates=20000)
    1.0
    """
    missing = (1 - start) * math.exp(-update / num_updates)
    return 1.0 if missing <= negligible else 1 - missing
