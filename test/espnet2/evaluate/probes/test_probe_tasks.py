"""What the probes are asked: splits, classes and phones of hand-made sets; what cannot be asked is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from espnet2.evaluate.probes.tasks import (
    MAX_CLASSES,
    MAX_UTTERANCES,
    UNSEEN,
    PhoneTask,
    Utterance,
    describe,
    split_utterances,
)
from espnet2.units.aligned import AlignedSet
from espnet2.units.quality import NO_PHONE
from espnet2.units.transcripts import SkippedTask


def utterances(counts: dict[str, int], first: int = 0) -> list[Utterance]:
    rows = [label for label, count in counts.items() for _ in range(count)]
    return [Utterance(first + row, f"{label}-{first + row:03d}", label) for row, label in enumerate(rows)]


def test_valid_utterances_of_the_same_classes_are_the_test():
    train, valid = utterances({"a": 6, "b": 6}), utterances({"a": 2, "b": 1}, 100)
    split = split_utterances(train, valid, "speaker")
    assert not split.is_held_out and len(split.train) == 12
    assert [utterance.row for utterance in split.test] == [100, 101, 102]


@pytest.mark.parametrize("valid", [{"c": 3, "d": 3}, {"a": 3, "c": 3}, {"a": 4}, {}])
def test_other_classes_or_one_only_hold_a_fifth_of_train_out(valid):
    train = utterances({"a": 10, "b": 5, "alone": 1})
    split = split_utterances(train, utterances(valid, 100), "speaker")
    assert split.is_held_out
    assert {label: sum(utterance.label == label for utterance in split.test) for label in "ab"} == {"a": 2, "b": 1}
    assert {utterance.label for utterance in (*split.train, *split.test)} == {"a", "b"}
    assert not set(split.train) & set(split.test) and len(split.train) + len(split.test) == 15
    assert split == split_utterances(list(reversed(train)), utterances(valid, 100), "speaker")


def test_large_sets_are_limited():
    many = utterances({f"s{number}": MAX_UTTERANCES + 5 for number in range(MAX_CLASSES + 5)})
    split = split_utterances(many, [], "speaker")
    labels = [utterance.label for utterance in (*split.train, *split.test)]
    assert len(set(labels)) == MAX_CLASSES and len(labels) == MAX_CLASSES * MAX_UTTERANCES


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"only": 5}, r"only one speaker in the train set \(only\)"), ({"a": 1, "b": 1}, "none can be held out")],
)
def test_what_cannot_be_told_is_left_out(counts, message):
    with pytest.raises(SkippedTask, match=message):
        split_utterances(utterances(counts), [], "speaker")


def aligned(symbols: tuple[str, ...], phones: list[int]) -> AlignedSet:
    counts = np.array([len(phones)])
    return AlignedSet(None, np.array([0]), counts, np.array(phones), len(symbols), symbols, "here", ("a note",))


def test_phones_of_two_sets_meet_by_their_symbols():
    train = aligned(("SIL", "a", "b"), [0, 1, 1, NO_PHONE, 2])
    valid = aligned(("b", "x", "a"), [0, 2, 1, NO_PHONE, 2])
    task = PhoneTask(train, valid, 50.0, "dump/dev")
    assert task.train_classes.tolist() == [0, 1, 1, 2]
    assert task.test_classes.tolist() == [2, 1, UNSEEN, 1]
    assert task.num_classes == 3
    assert task.notes == ("a note", "1 of 4 test frames have a phone that train does not: errors for all")
    assert describe(task).majority == pytest.approx(0.5)  # always 'a', the most frequent of train


def test_features_are_of_the_frames_that_have_a_phone(monkeypatch):
    frames = torch.arange(10.0).reshape(1, 5, 2)
    monkeypatch.setattr("espnet2.evaluate.probes.tasks.collect", lambda *_: frames)
    train = aligned(("SIL", "a"), [0, 1, 1, NO_PHONE, 0])
    task = PhoneTask(train, replace(train, phones=np.array([0, 0, 1, 1, 0])), 50.0, "dump/dev")
    first, second = task.features(None)
    assert first[0, :, 0].tolist() == [0, 2, 4, 8] and second.shape == (1, 5, 2)


def test_one_phone_is_nothing_to_tell():
    with pytest.raises(SkippedTask, match="1 different"):
        PhoneTask(aligned(("a",), [0, 0]), aligned(("a",), [0]), 50.0, "dump/dev")
