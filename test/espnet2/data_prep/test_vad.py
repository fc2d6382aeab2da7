"""Probabilities and synthetic vowels in, the parts of a recording that training gets checked."""

import sys

import numpy as np
import pytest
from spoken import SAMPLE_RATE, pause, to_int16, vowels

from espnet2.data_prep.vad import WINDOW, CutOptions, SpeechDetector, cut_at_pauses, cut_evenly
from espnet2.utils.errors import UserError

PER_SECOND = SAMPLE_RATE / WINDOW


def cut(*stretches: tuple[float, float], total: float = 60, **options: float) -> list[tuple[float, float]]:
    """The parts where speech is certain in these stretches (seconds) and absent elsewhere."""
    probabilities = np.zeros(round(total * PER_SECOND), np.float32)
    for start, end in stretches:
        probabilities[round(start * PER_SECOND) : round(end * PER_SECOND)] = 0.9
    return cut_at_pauses(probabilities, round(total * SAMPLE_RATE), CutOptions(**options))


def close(parts: list[tuple[float, float]], *expected: tuple[float, float]) -> bool:
    """Whether the parts are these, to a window or two."""
    return len(parts) == len(expected) and np.allclose(parts, expected, atol=0.04)


def test_short_pauses_are_kept_and_long_ones_cut() -> None:
    assert close(cut((2, 5), (5.5, 8), (11, 14)), (1.9, 8.1), (10.9, 14.1))


def test_no_part_is_longer_than_asked_for() -> None:
    parts = cut((0, 8), (8.5, 16), (16.4, 24), (24.2, 60), max_seconds=20)
    assert all(end - start <= 20 for start, end in parts)
    assert close(parts[:1], (0, 16.1)) and parts[-1][1] == 60


def test_speech_without_a_pause_is_cut_where_it_is_unlikeliest() -> None:
    probabilities = np.full(round(30 * PER_SECOND), 0.9, np.float32)
    probabilities[round(14 * PER_SECOND)] = 0.6  # still speech
    parts = cut_at_pauses(probabilities, 30 * SAMPLE_RATE, CutOptions(max_seconds=20))
    assert close(parts, (0, 14), (14, 30))
    assert parts[0].end_seconds == parts[1].start_seconds


def test_short_parts_are_dropped_and_parts_do_not_overlap() -> None:
    assert close(cut((1, 1.3), (5, 9)), (4.9, 9.1))
    parts = cut((1, 4), (4.15, 8), max_pause_seconds=0.1, padding_seconds=0.5)
    assert len(parts) == 2 and parts[0].end_seconds <= parts[1].start_seconds


def test_speech_goes_on_a_little_below_the_threshold() -> None:
    probabilities = np.concatenate([np.full(100, value, np.float32) for value in (0.45, 0.9, 0.4, 0.3)])
    part = cut_at_pauses(probabilities, 400 * WINDOW, CutOptions(padding_seconds=0))[0]
    assert close([part], (100 / PER_SECOND, 300 / PER_SECOND))  # begins at 0.5, ends below 0.35


def test_nothing_but_pauses_gives_no_part() -> None:
    assert cut() == [] and cut_at_pauses(np.zeros(0, np.float32), 0, CutOptions()) == []


def test_even_parts_cover_everything() -> None:
    parts = cut_evenly(50.0, CutOptions(max_seconds=20))
    assert [part.start_seconds for part in parts] == [0, 16.667, 33.333] and parts[-1].end_seconds == 50
    assert cut_evenly(0.4, CutOptions()) == []


def test_vowels_are_speech_and_the_blocks_do_not_matter() -> None:
    """35 s: two rows, the second warmed up by the end of the first."""
    wave = to_int16(np.concatenate([pause(3), vowels(4), pause(21), vowels(5, 180), pause(2)]))
    detector = SpeechDetector()
    probabilities = detector.probabilities([wave[:50000], wave[50000:50001], wave[50001:]])
    assert len(probabilities) == -(-len(wave) // WINDOW)
    assert np.array_equal(probabilities, detector.probabilities(iter([wave])))
    parts = cut_at_pauses(probabilities, len(wave), CutOptions())
    assert np.allclose(parts, [(2.9, 7.3), (27.9, 33.2)], atol=0.4), parts


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(UserError, match="pip install silero-vad"):
        SpeechDetector()
