"""Confidence intervals of error rates: as wide as the binomial says, and of the utterances alone."""

import math

import numpy as np
import pytest

from espnet2.text.confidence import error_interval, error_intervals
from espnet2.text.ctc import error_rates


def test_one_word_per_utterance_gives_the_interval_of_a_share():
    errors = np.zeros(400, dtype=int)
    errors[:100] = 1
    low, high = error_interval(errors.tolist(), [1] * 400)
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)  # of a binomial share
    assert (low, high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.005)
    assert error_interval(errors.tolist(), [1] * 400) == (low, high)


def test_the_rate_lies_inside_and_equal_utterances_leave_nothing_to_chance():
    said, heard = ["ab cd", "ef", "gh ij"], ["ab", "ef", "gh xx yy"]
    rates, intervals = error_rates(said, heard, "char"), error_intervals(said, heard, "char")
    assert rates.keys() == intervals.keys() == {"wer", "cer"}
    assert all(low <= rates[name] <= high for name, (low, high) in intervals.items())
    assert error_intervals(["a b"] * 5, ["a"] * 5, "phn") == {"per": (0.5, 0.5)}
