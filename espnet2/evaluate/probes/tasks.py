"""The tasks of a linear probe: phones, speakers and languages, with what it learns and is scored on."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from espnet2.data.index import UNKNOWN_LANGUAGE, AudioIndex
from espnet2.evaluate.part import EvaluationRequest
from espnet2.evaluate.probes.linear import Examples, majority_share, standardise
from espnet2.evaluate.probes.row import TaskFacts
from espnet2.units.aligned import AlignedSet, align_set, collect, missing_phones
from espnet2.units.alignment import find_phones
from espnet2.units.features import FeatureExtractor, map_features
from espnet2.units.quality import NO_PHONE
from espnet2.units.transcripts import SkippedTask
from espnet2.utils.files import hash_bytes
from espnet2.utils.kaldi_table import read_table

MAX_CLASSES = 50  # speakers or languages, chosen by a hash of their names: keeps large corpora within minutes
MAX_UTTERANCES = 20  # of each class in each set, chosen by a hash of their ids
HELD_OUT = 5  # where the valid set has other classes, one of so many utterances of each class is held out of train
UNSEEN = -1  # a test example whose class training does not have


class ClassTask(Protocol):
    """Classes to tell, and the features to tell them by."""

    name: str
    train_classes: Tensor  # (examples,) int64
    test_classes: Tensor  # (examples,) int64, UNSEEN where training has no such class
    num_classes: int
    tested_on: str  # in words
    notes: tuple[str, ...]

    def features(self, extractor: FeatureExtractor) -> tuple[Tensor, Tensor]:
        """(layers, examples, dim) of both sides."""


def examples_of(task: ClassTask, extractor: FeatureExtractor) -> tuple[Examples, Examples]:
    """What a probe learns on, and what it is scored on."""
    train, test = task.features(extractor)
    standardise(train, test)
    return Examples(train, task.train_classes), Examples(test, task.test_classes)


def describe(task: ClassTask) -> TaskFacts:
    """What stands beside the accuracy in every row of the task."""
    return TaskFacts(
        num_train=len(task.train_classes),
        num_valid=len(task.test_classes),
        majority=majority_share(task.train_classes, task.test_classes),
        tested_on=task.tested_on,
        num_classes=task.num_classes,
    )


class PhoneTask:
    """The phone of every frame that has one; silence is a phone like any other."""

    name = "phone"

    def __init__(self, train: AlignedSet, valid: AlignedSet, frame_rate: float, tested_on: str) -> None:
        self._sets, self.frame_rate, self.tested_on = (train, valid), frame_rate, tested_on
        all_ids = [phone_ids(aligned) for aligned in self._sets]
        self._known = [torch.from_numpy(ids != NO_PHONE) for ids in all_ids]
        ids = [of_set[known.numpy()] for of_set, known in zip(all_ids, self._known, strict=True)]
        number = {train.symbols[phone]: class_id for class_id, phone in enumerate(np.unique(ids[0]))}
        if len(number) < 2 or len(ids[1]) == 0:
            raise SkippedTask(f"phones: {len(number)} different ones in train, {len(ids[1])} frames to test on")
        # The sets number their phones each in its own way: what they share are the symbols.
        tables = [torch.tensor([number.get(symbol, UNSEEN) for symbol in aligned.symbols]) for aligned in self._sets]
        self.train_classes, self.test_classes = (
            table[torch.from_numpy(phones)] for table, phones in zip(tables, ids, strict=True)
        )
        self.num_classes = len(number)
        unseen = int((self.test_classes == UNSEEN).sum())
        told = f"{unseen:,} of {len(self.test_classes):,} test frames have a phone that train does not: errors for all"
        self.notes = tuple(dict.fromkeys((*train.notes, *valid.notes, *((told,) if unseen else ()))))

    def features(self, extractor: FeatureExtractor) -> tuple[Tensor, Tensor]:
        """(layers, frames, dim) of both sets."""
        train, valid = (
            features if known.all() else features[:, known]
            for features, known in zip(
                [collect(aligned, extractor, self.frame_rate) for aligned in self._sets], self._known, strict=True
            )
        )
        return train, valid


def phone_ids(aligned: AlignedSet) -> np.ndarray:
    """(all frames,) ids of a set that was aligned with its phones."""
    assert aligned.phones is not None, "`open_phones` aligns with phones"
    return aligned.phones


def open_phones(request: EvaluationRequest, extractors: Sequence[FeatureExtractor]) -> ClassTask:
    """Frame phone classification on the frames that all systems have.

    Raises:
        SkippedTask: no alignments.
        UserError: as `align_set`.
    """
    for dump_set in request.sets:
        if find_phones(dump_set, request.alignments) is None:
            raise SkippedTask(missing_phones(dump_set, request.alignments))
    train, valid = (
        align_set(dump_set, extractors, request.frame_rate, limit, alignments=request.alignments)
        for dump_set, limit in request.limited_sets
    )
    return PhoneTask(train, valid, request.frame_rate, str(request.valid_set))


class Utterance(NamedTuple):
    """One utterance and the class it has as a whole."""

    row: int  # of the index of its set
    utt_id: str
    label: str


@dataclass(frozen=True)
class UtteranceSplit:
    """Utterances to learn on and to be scored on; every class of the test is in train."""

    train: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    is_held_out: bool  # the test utterances are of the train set


def split_utterances(train: Sequence[Utterance], valid: Sequence[Utterance], what: str) -> UtteranceSplit:
    """Test on the valid set if all its classes are in train and it has several; else hold utterances of train out.

    Args:
        what: the classes, in the singular, for messages.

    Raises:
        SkippedTask: one class only, or no class has two utterances.
    """
    counts = Counter(utterance.label for utterance in train)
    if len(counts) < 2:
        raise SkippedTask(f"only one {what} in the train set ({next(iter(counts), 'none')}): nothing to tell apart")
    chosen = set(sorted(counts, key=_key)[:MAX_CLASSES])
    learned, tested = (
        _limited([utterance for utterance in part if utterance.label in chosen]) for part in (train, valid)
    )
    if {utterance.label for utterance in valid} <= counts.keys() and len({utterance.label for utterance in tested}) > 1:
        return UtteranceSplit(learned, tested, False)
    parts: tuple[list[Utterance], list[Utterance]] = ([], [])
    for label in sorted(chosen):
        of_class = sorted((utterance for utterance in learned if utterance.label == label), key=_key_of)
        held = max(1, round(len(of_class) / HELD_OUT)) if len(of_class) > 1 else len(of_class)
        parts[1].extend(of_class[:held] if len(of_class) > 1 else ())
        parts[0].extend(of_class[held:])
    if len({utterance.label for utterance in parts[1]}) < 2:
        raise SkippedTask(f"fewer than two {what}s of the train set have two utterances: none can be held out")
    return UtteranceSplit(tuple(sorted(parts[0])), tuple(sorted(parts[1])), True)


def _limited(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """At most so many of each class."""
    taken: Counter[str] = Counter()
    kept = []
    for utterance in sorted(utterances, key=_key_of):
        taken[utterance.label] += 1
        if taken[utterance.label] <= MAX_UTTERANCES:
            kept.append(utterance)
    return tuple(sorted(kept))


def _key(name: Hashable) -> str:
    return hash_bytes(str(name))


def _key_of(utterance: Utterance) -> str:
    return _key(utterance.utt_id)


class UtteranceTask:
    """The speaker or the language of an utterance, from the mean of its frames."""

    def __init__(self, name: str, indexes: tuple[AudioIndex, AudioIndex], split: UtteranceSplit) -> None:
        self.name, self._split = name, split
        self._indexes = (indexes[0], indexes[0 if split.is_held_out else 1])
        labels = sorted({utterance.label for utterance in split.train})
        number = {label: class_id for class_id, label in enumerate(labels)}
        self.train_classes, self.test_classes = (
            torch.tensor([number[utterance.label] for utterance in part]) for part in (split.train, split.test)
        )
        self.num_classes = len(number)
        self.tested_on = str(self._indexes[1].directory.parent)
        self.notes: tuple[str, ...] = ()
        if split.is_held_out:
            self.tested_on += f", one of {HELD_OUT} utterances of each {name} held out of training"
            self.notes = (
                f"{name}: the valid set has other {name}s than train, or one only: tested on {self.tested_on}",
            )

    def features(self, extractor: FeatureExtractor) -> tuple[Tensor, Tensor]:
        """(layers, utterances, dim) of both sides."""
        train, test = (
            self._means(index, part, extractor)
            for index, part in zip(self._indexes, (self._split.train, self._split.test), strict=True)
        )
        return train, test

    def _means(self, index: AudioIndex, utterances: Sequence[Utterance], extractor: FeatureExtractor) -> Tensor:
        rows = [utterance.row for utterance in utterances]
        return torch.stack(list(map_features(index, rows, extractor, lambda _, frames: frames.mean(1).cpu())), dim=1)


def open_speakers(request: EvaluationRequest, extractors: Sequence[FeatureExtractor]) -> ClassTask:
    """Speaker identification by utt2spk.

    Raises:
        SkippedTask: no utt2spk, one speaker, or no speaker with two utterances.
    """
    sides = []
    for dump_set in request.sets:
        if not (dump_set / "utt2spk").is_file():
            raise SkippedTask(f"no {dump_set}/utt2spk")
        sides.append(read_table(dump_set / "utt2spk"))
    return _open("speaker", request, extractors, sides)


def open_languages(request: EvaluationRequest, extractors: Sequence[FeatureExtractor]) -> ClassTask:
    """Language identification by utt2lang, as the index has it.

    Raises:
        SkippedTask: no utt2lang, one language, or no language with two utterances.
    """
    sides = []
    for dump_set in request.sets:
        index = AudioIndex.open(dump_set)
        if index.languages == [UNKNOWN_LANGUAGE]:
            raise SkippedTask(f"no utt2lang in {dump_set}")
        sides.append({index.utt_id(row): index.languages[index.lang_ids[row]] for row in range(len(index))})
    return _open("language", request, extractors, sides)


def _open(
    name: str, request: EvaluationRequest, extractors: Sequence[FeatureExtractor], labels: Sequence[dict[str, str]]
) -> ClassTask:
    indexes = (AudioIndex.open(request.train_set), AudioIndex.open(request.valid_set))
    shortest = max(extractor.geometry.receptive_field_samples for extractor in extractors)
    train, valid = (
        [
            Utterance(row, index.utt_id(row), table[index.utt_id(row)])
            for row in range(len(index))
            if index.num_samples[row] >= shortest and index.utt_id(row) in table
        ]
        for index, table in zip(indexes, labels, strict=True)
    )
    return UtteranceTask(name, indexes, split_utterances(train, valid, name))
