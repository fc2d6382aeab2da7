"""Which utterances are chosen: by their ids alone, never by their order in the index, and always the same ones."""

from types import SimpleNamespace

import numpy as np
import pytest

from espnet2.data.choose import choose_fitting, choose_frames, choose_share, id_hash

NAMES = [f"utterance-{number}" for number in range(20)]
SAMPLES = {name: 10 + number for number, name in enumerate(NAMES)}


def index_of(names: list[str]) -> SimpleNamespace:
    return SimpleNamespace(utt_id=names.__getitem__, num_samples=[SAMPLES[name] for name in names])


def share(names: list[str]) -> np.ndarray:
    return choose_share(index_of(names), np.arange(len(names)), portion=0.35, seed=3)


def frames(names: list[str]) -> np.ndarray:
    counts = np.array([SAMPLES[name] for name in names])
    return choose_frames(index_of(names), counts % 2 == 0, counts, 100)


def fitting(names: list[str]) -> np.ndarray:
    return choose_fitting(index_of(names), range(len(names)), 100)


@pytest.mark.parametrize("choose", [share, frames, fitting])
def test_the_choice_depends_on_ids_alone(choose) -> None:
    rows, reversed_rows = choose(NAMES), choose(NAMES[::-1])
    assert list(rows) == sorted(rows)
    assert {NAMES[row] for row in rows} == {NAMES[::-1][row] for row in reversed_rows}


def test_a_share_is_that_of_the_lowest_hashes() -> None:
    by_hash = sorted(range(20), key=lambda row: id_hash(NAMES[row], 3))
    assert list(share(NAMES)) == sorted(by_hash[:7])
    assert list(choose_share(index_of(NAMES), np.arange(20), portion=0.001, seed=3)) == by_hash[:1]
    assert list(choose_share(index_of(NAMES), np.arange(5), portion=1.0, seed=3)) == [0, 1, 2, 3, 4]


def test_about_so_many_frames_of_the_usable() -> None:
    rows = frames(NAMES)  # the usable have 10, 12, ..., 28: 190 frames, so 100 of them are 5 of 10 utterances
    assert len(rows) == 5 and all(row % 2 == 0 for row in rows)
    counts = np.full(20, 3)
    assert len(choose_frames(index_of(NAMES), counts > 0, counts, 1_000)) == 20
    assert len(choose_frames(index_of(NAMES), counts < 0, counts, 1_000)) == 0


def test_what_fits_is_filled_up_and_never_exceeded() -> None:
    assert 80 < sum(SAMPLES[NAMES[row]] for row in fitting(NAMES)) <= 100
    assert list(choose_fitting(index_of(NAMES), range(20), 9)) == []


def test_choices_of_earlier_runs_stay() -> None:
    assert id_hash("utterance-0", 0) == 14996841265300130927
    assert list(fitting(NAMES)) == [2, 3, 6, 13, 17]
