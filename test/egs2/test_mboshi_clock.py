"""Sound and phone times that are late by a known time in, what local/phone_clock.py makes of them out."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from repository import ROOT

from espnet2.units.quality import Alignment, Alignments

LOCAL = ROOT / "egs2/mboshi/ssl1/local"
NUM_PHONES, SILENCE = 12, 0
LATE, SWALLOWED = 0.05, 0.08  # seconds: of the whole clock, and how far phones reach into silence on both sides


def load(name: str) -> ModuleType:
    """A program of the recipe's local/."""
    spec = importlib.util.spec_from_file_location(f"mboshi_{name}", LOCAL / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def phone_clock() -> ModuleType:
    return load("phone_clock")


@pytest.fixture(scope="module")
def recordings(phone_clock) -> list:
    """Silence, ten phones of 100 ms, silence: each phone with cepstra of its own, silence 20 nats softer."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    sounds = generator.normal(size=(NUM_PHONES, 39)) * 10
    made = []
    for _ in range(40):
        phones = np.array([SILENCE, *generator.permutation(np.arange(1, NUM_PHONES))[:10], SILENCE])
        lengths = np.array([50, *[10] * 10, 50])  # frames
        edges = np.concatenate([[0], lengths.cumsum()]) / 100 + phone_clock.WINDOW_SECONDS / 2 - 0.005
        starts, ends = edges[:-1] + LATE, edges[1:] + LATE
        ends[0], starts[1] = ends[0] - SWALLOWED, starts[1] - SWALLOWED
        starts[-1], ends[-2] = starts[-1] + SWALLOWED, ends[-2] + SWALLOWED
        heard = np.repeat(phones, lengths)
        mfcc = (sounds[heard] + generator.normal(size=(len(heard), 39))).astype(np.float32)
        loudness = np.where(heard == SILENCE, 0.0, 20.0) + generator.normal(size=len(heard))
        made.append(phone_clock.Recording(loudness, mfcc, Alignment(starts, ends, phones), SILENCE))
    return made


def test_every_measure_says_by_how_much_the_times_are_late(phone_clock, recordings) -> None:
    shifts = range(-60, 161, 10)
    rise, fall, change, pnmi = (shifts[row] for row in phone_clock.measure(recordings, NUM_PHONES, shifts).argmax(0))
    assert (change, pnmi) == (50, 50)
    assert (rise, fall) == (-30, 130)  # 50 less and more the 80 ms that the silences lost: half-way lies the clock


def test_steps_of_loudness_are_in_decibel(phone_clock, recordings) -> None:
    decibel = 10 * 20 / np.log(10)
    step = phone_clock.loudness_step(recordings, phone_clock.silence_ends, LATE - SWALLOWED)
    assert step == pytest.approx(decibel, rel=0.02)
    step = phone_clock.loudness_step(recordings, phone_clock.silence_starts, LATE + SWALLOWED)
    assert step == pytest.approx(-decibel, rel=0.02)


def test_edges_too_near_to_the_ends_do_not_count(phone_clock) -> None:
    before, after = phone_clock.sides(np.arange(10.0), np.array([0.0, 0.0325, 0.1025]), 2)
    assert before.tolist() == [0.5] and after.tolist() == [2.5]


def test_pnmi_by_shift_is_highest_where_the_phones_fit() -> None:
    """Units that are the phones of 60 ms later: at three frames' shift they tell all."""
    module = load("pnmi_by_shift")
    phones = np.repeat(np.random.default_rng(0).integers(0, 5, 400), 10)
    frames = torch.eye(5)[torch.from_numpy(np.roll(phones, -3))] + 1e-3 * torch.randn(len(phones), 5)
    versions = [np.roll(phones, -shift) for shift in (0, 1, 3, 5)]
    figures = module.curve(frames, frames, versions, 5)
    assert figures[2] == pytest.approx(1.0, abs=1e-6) and figures[0] < figures[1] < 0.95 and figures[3] < 0.95


def test_phones_are_shifted_by_seconds() -> None:
    module = load("pnmi_by_shift")
    index = SimpleNamespace(utt_id=lambda row: "ab"[row])
    aligned = SimpleNamespace(rows=[0, 1], frame_counts=np.array([4, 3]), index=index)
    starts, ends = np.array([0.0, 0.04]), np.array([0.04, 0.08])
    alignment = Alignment(starts, ends, np.array([5, 6]))
    phones = Alignments({"a": alignment, "b": alignment}, ("",) * 7)
    assert module.shifted_phones(aligned, phones, 0.0).tolist() == [5, 5, 6, 6, 5, 5, 6]
    assert module.shifted_phones(aligned, phones, 0.04).tolist() == [6, 6, -1, -1, 6, 6, -1]
