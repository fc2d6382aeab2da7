"""The data and labels of a training, opened and checked against each other and the model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet2.data.augment.augment import Augmenter
from espnet2.data.augment.sets import SetAugmenters, open_augmenters
from espnet2.data.augment.signal import played_samples, source_samples
from espnet2.data.dataset import TRAIN_STREAM, VALID_STREAM, SpeechDataset
from espnet2.data.index import JoinedIndex, open_indexes
from espnet2.data.labels.check import check_training_labels
from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.sets import UNNAMED, LabelSets, open_label_sets, parse_label_sets
from espnet2.data.loader import require_shared_memory
from espnet2.data.sampler import sequential_shards
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import label_set_names, needs_labels
from espnet2.tasks.config import SSLConfig
from espnet2.train.data import VALID_SHARD_SECONDS, StepPlan, TrainingData
from espnet2.train.order import make_sampler
from espnet2.units.mel_gather import read_statistics
from espnet2.utils.errors import UserError

SAMPLE_BYTES = 4
SHOWN = 5  # offenders named in an error


@dataclass(frozen=True)
class DataPaths:
    """Where data and labels are."""

    train_sets: Sequence[str]  # dump/<set>
    valid_sets: Sequence[str]
    train_labels: Sequence[str] = ()  # packed labels, one folder per set; several label sets: <name>=<folder>
    valid_labels: Sequence[str] = ()
    old_sets: Sequence[str] = ()  # of the domain that the model of `init_from` comes from
    old_labels: Sequence[str] = ()


@dataclass(frozen=True)
class Inputs:
    """The data and labels of a run, opened and checked."""

    train: JoinedIndex
    valid: JoinedIndex
    train_labels: LabelSets  # those that losses train on
    valid_labels: LabelSets
    augment: Augmenter | SetAugmenters | None = None
    unused_labels: tuple[str, ...] = ()  # names of label sets that were given, and on which no loss trains

    @property
    def num_classes(self) -> dict[str, int]:
        """Of each label set."""
        return {name: labels.num_classes for name, labels in self.train_labels.items()}

    @property
    def num_codebooks(self) -> dict[str, int]:
        """Of each label set."""
        return {name: labels.num_codebooks for name, labels in self.train_labels.items()}

    def hashes(self) -> dict[str, object]:
        """What a resumed run must find unchanged."""
        return {
            "train_sets": self.train.hash,
            "valid_sets": self.valid.hash,
            "train_labels": _label_hashes(self.train_labels),
            "valid_labels": _label_hashes(self.valid_labels),
            "augment": self.augment.hash if self.augment else None,
        }


def _label_hashes(sets: LabelSets) -> object:
    """That of the set without a name; of named ones, name -> hash; None without labels."""
    hashes = {name: labels.hash for name, labels in sets.items()}
    return hashes.get(UNNAMED) if UNNAMED in hashes or not hashes else hashes


def open_inputs(config: SSLConfig, paths: DataPaths) -> Inputs:
    """Open indexes, labels and the tables of augmentation.

    Raises:
        UserError: a stage that has not run yet, labels missing or of other clusters, sets of different rates; see
            `open_augmenters`.
    """
    train, valid = open_indexes(paths.train_sets), open_indexes(paths.valid_sets)
    if valid.sample_rate != train.sample_rate:
        raise UserError(f"the train sets have {train.sample_rate} Hz, the valid sets {valid.sample_rate} Hz")
    for name, index in (("train", train), ("valid", valid)):
        if len(index) == 0:
            raise UserError(f"the {name} sets ({', '.join(index.names)}) are empty; see the log of stages 3 and 4")
    augment = open_augmenters(config.augment, config.augment_sets, train)
    if not needs_labels(config):
        return Inputs(train, valid, {}, {}, augment)
    if not paths.train_labels or not paths.valid_labels:
        names = ", ".join(entry.name for entry in config.loss)
        raise UserError(f"loss ({names}) needs labels: run stage 5, or give --train_labels and --valid_labels")
    needed = label_set_names(config)
    label_sets = open_label_sets(paths.train_labels, paths.valid_labels, needed)
    unused = [name for name in parse_label_sets(paths.train_labels, "--train_labels") if name not in needed]
    return Inputs(train, valid, *label_sets, augment, tuple(unused))


def make_data(config: SSLConfig, inputs: Inputs, model: SSLModel, steps: StepPlan) -> TrainingData:
    """Datasets, order and checks that need the model's frame geometry.

    Raises:
        UserError: labels that do not fit the frames, or utterances too short for the objective.
    """
    frontend = model.frontend
    rate, hop = inputs.train.sample_rate, frontend.geometry.hop_samples
    if rate != frontend.geometry.sample_rate:
        expected = frontend.geometry.sample_rate
        raise UserError(f"the audio has {rate} Hz, the frontend expects {expected} Hz; format it with --fs (stage 3)")
    for label_sets, index in ((inputs.train_labels, inputs.train), (inputs.valid_labels, inputs.valid)):
        for labels in label_sets.values():
            check_training_labels(
                labels.parts, index.parts, frontend.geometry, allow_rate_reduction=config.allow_rate_reduction
            )
    _check_kinds(model, inputs.train_labels)
    draws = {name: objective.draw for name, objective in model.entries()}
    fastest = inputs.augment.max_speed if inputs.augment else 1.0
    check_sets(config, model, inputs.train, inputs.valid, max_speed=fastest)
    min_samples = round(config.min_seconds * rate)
    shared = (draws, frontend.geometry, frontend.normalize, config.seed)
    lengths = inputs.train.num_samples
    if config.crop == "shortest" and fastest > 1.0:  # no row may end before its batch does, at any speed
        lengths = played_samples(np.asarray(lengths), fastest)
    sampler = make_sampler(
        config,
        inputs.train,
        lengths,
        steps,
        max_samples=round(config.max_seconds * rate),
        min_samples=min_samples,
        hop_samples=hop,
    )
    if config.num_workers:  # batches come through shared memory, as float32
        require_shared_memory(SAMPLE_BYTES * steps.shard_samples, config.num_workers, steps.accumulation)
    if len(sampler.rows) == 0:
        raise UserError(f"no utterance is longer than min_seconds {config.min_seconds}")
    return TrainingData(
        SpeechDataset(
            inputs.train,
            inputs.train_labels.get(UNNAMED),
            *shared,
            TRAIN_STREAM,
            inputs.augment,
            named_labels=_named(inputs.train_labels),
        ),
        sampler,
        SpeechDataset(
            inputs.valid,
            inputs.valid_labels.get(UNNAMED),
            *shared[:3],
            0,  # the same draws for any seed
            VALID_STREAM,
            named_labels=_named(inputs.valid_labels),
        ),
        sequential_shards(
            np.asarray(inputs.valid.num_samples), config.valid_batch_bins or round(VALID_SHARD_SECONDS * rate)
        ),
    )


def _check_kinds(model: SSLModel, label_sets: LabelSets) -> None:
    """Refuse labels of several values a frame where an objective takes one.

    Raises:
        UserError: naming the entry and what it can learn from.
    """
    for name, objective in model.entries():
        labels = label_sets.get(objective.context.labels) if objective.needs_labels else None
        if labels is not None and (labels.is_soft or labels.num_codebooks > 1) and not objective.takes_vector_labels:
            kind = "soft" if labels.is_soft else f"of {labels.num_codebooks} codebooks"
            raise UserError(
                f"loss ({name}): learns from one label a frame, but {labels.parts[0].directory} has labels that are "
                f"{kind}; give the labels of a k-means, or train `name: hubert`"
            )


def _named(label_sets: LabelSets) -> dict[str, JoinedLabels]:
    return {name: labels for name, labels in label_sets.items() if name != UNNAMED}


def check_sets(
    config: SSLConfig, model: SSLModel, train: JoinedIndex, valid: JoinedIndex, *, max_speed: float = 1.0
) -> None:
    """Refuse utterances too short for the objectives, but for those that training leaves out by `min_seconds`.

    Args:
        max_speed: largest factor by which training audio is sped up.

    Raises:
        UserError: naming the first ones.
    """
    shortest = max(1, *(objective.draw.min_samples() for _, objective in model.entries()))
    left_out = round(config.min_seconds * train.sample_rate)
    check_lengths(train, source_samples(shortest, max_speed), ignore_below=left_out)
    check_lengths(valid, shortest, ignore_below=0)


def check_lengths(index: JoinedIndex, min_samples: int, *, ignore_below: int) -> None:
    """Refuse utterances too short for the objective.

    Raises:
        UserError: naming the first ones.
    """
    lengths = np.asarray(index.num_samples)
    short = np.flatnonzero((lengths < min_samples) & (lengths >= ignore_below))
    if len(short):
        seconds = lengths[short] / index.sample_rate
        named = zip(short[:SHOWN], seconds[:SHOWN], strict=True)
        names = ", ".join(f"{index.utt_id(int(row))} ({length:.3f} s)" for row, length in named)
        raise UserError(
            f"{', '.join(index.names)}: {len(short)} utterances are shorter than the objective needs "
            f"({min_samples / index.sample_rate:.3f} s): {names}; run stage 4 with --min_wav_duration "
            f"{math.ceil(100 * min_samples / index.sample_rate) / 100:g} or more"
        )


def add_statistics(config: SSLConfig, model: SSLModel, train_sets: Sequence[str | Path]) -> None:
    """Give a new model the statistics of its training sets, where its frontend needs them.

    From then on they belong to the model: checkpoints carry them, whatever set it is evaluated or trained on. So the
    model of `init_from` brings its own.

    Raises:
        UserError: stage 6 has not gathered them, or a set changed since.
    """
    settings = model.frontend.statistics_settings
    if settings is not None and not config.init_from:
        model.frontend.set_statistics(read_statistics(train_sets, settings))
