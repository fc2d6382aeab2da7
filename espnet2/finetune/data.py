"""The data of a fine-tuning: the utterances to tune and to test on, with their targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet2.data.augment.sets import open_augmenters
from espnet2.data.batch import NoDraw
from espnet2.data.dataset import TRAIN_STREAM, VALID_STREAM, Crop, SpeechDataset
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import JoinedIndex, open_indexes
from espnet2.data.labels.packed import NO_LABEL
from espnet2.data.sampler import MicroBatch, sequential_shards
from espnet2.finetune.config import FinetuneConfig
from espnet2.finetune.ctc_objective import ENTRY
from espnet2.ssl.frontend.base import Frontend
from espnet2.text.ctc import CtcTokens, TextRules, frames_needed
from espnet2.train.data import VALID_SHARD_SECONDS, StepPlan, TrainingData
from espnet2.train.order import make_sampler
from espnet2.units.transcripts import SkippedTask, read_texts
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes


@dataclass(frozen=True)
class Texts:
    """The prepared transcripts of one or several joined sets."""

    index: JoinedIndex
    texts: tuple[str, ...]  # of each row; "" where there is none

    @classmethod
    def open(cls, dump_sets: Sequence[str], rules: TextRules) -> "Texts":
        """Read the transcripts of sets.

        Raises:
            UserError: a set has none.
        """
        index = open_indexes(dump_sets)
        texts: dict[str, str] = {}
        try:
            for name in dump_sets:
                texts |= read_texts(Path(name), rules, None)
        except SkippedTask as reason:
            raise UserError(f"fine-tuning needs transcripts: {reason}") from None
        return cls(index, tuple(texts.get(index.utt_id(row), "").strip() for row in range(len(index))))

    @property
    def hash(self) -> str:
        """Of audio and texts."""
        return hash_bytes(self.index.hash, *self.texts)


@dataclass(frozen=True)
class Targets:
    """Token ids of each row of an index."""

    ids: tuple[np.ndarray, ...]

    def fitting(self, num_frames: np.ndarray) -> np.ndarray:
        """(rows,) bool: there is a text, and frames enough to spell it."""
        needed = np.array([frames_needed(ids) for ids in self.ids])
        return (needed > 0) & (needed <= num_frames)


@dataclass(frozen=True)
class TranscribedDataset(SpeechDataset):
    """Batches whose labels are (batch, tokens) ids, NO_LABEL behind the end of a transcript."""

    targets: Targets = field(default=Targets(()))  # of each row of the index

    def make_labels(self, item: MicroBatch, crops: Sequence[Crop], wav_lengths: Tensor) -> Tensor:
        rows = [torch.from_numpy(self.targets.ids[row]) for row in item.rows.tolist()]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=NO_LABEL)


def make_tuning_data(
    config: FinetuneConfig, train: Texts, valid: Texts, tokens: CtcTokens, frontend: Frontend, steps: StepPlan
) -> tuple[TrainingData, list[str]]:
    """What the trainer needs, and sentences about what is left out.

    Raises:
        UserError: audio of another rate, or no utterance is left.
    """
    geometry = frontend.geometry
    for part in (train, valid):
        check_rate(part, geometry)
    targets = [Targets(tuple(tokens.encode(text) for text in part.texts)) for part in (train, valid)]
    lengths = [np.asarray(part.index.num_samples) for part in (train, valid)]
    fits = [
        part_targets.fitting(geometry.output_lengths(samples))
        for part_targets, samples in zip(targets, lengths, strict=True)
    ]
    fits[0] &= lengths[0] <= round(config.max_seconds * geometry.sample_rate)
    fits[0] &= lengths[0] >= round(config.min_seconds * geometry.sample_rate)
    notes = []
    for name, part, kept in zip(("train", "valid"), (train, valid), fits, strict=True):
        if not kept.any():
            raise UserError(
                f"{', '.join(part.index.names)}: no utterance has a transcript that fits its frames "
                f"({geometry.frame_rate:g} per second) and max_seconds {config.max_seconds:g}"
            )
        if not kept.all():
            notes.append(f"{name}: {int((~kept).sum()):,} of {len(kept):,} utterances left out: no text, or no fit")
    draws = {ENTRY: NoDraw()}
    shared = (draws, geometry, frontend.normalize, config.seed)
    augment = open_augmenters(config.augment, config.augment_sets, train.index)
    sampler = make_sampler(
        config,
        train.index,
        np.where(fits[0], lengths[0], 0),  # the sampler leaves out what is shorter than one sample
        steps,
        max_samples=int(lengths[0].max()),
        hop_samples=geometry.hop_samples,
    )
    data = TrainingData(
        TranscribedDataset(train.index, None, *shared, TRAIN_STREAM, augment, targets=targets[0]),
        sampler,
        TranscribedDataset(valid.index, None, *shared[:3], 0, VALID_STREAM, targets=targets[1]),
        shards_of(lengths[1], np.flatnonzero(fits[1]), _valid_samples(config, geometry.sample_rate)),
    )
    return data, notes


def check_rate(part: Texts, geometry: FrameGeometry) -> None:
    """Refuse audio of another rate than the model's.

    Raises:
        UserError: naming the sets.
    """
    if part.index.sample_rate != geometry.sample_rate:
        raise UserError(
            f"{', '.join(part.index.names)}: {part.index.sample_rate} Hz, the model was trained at "
            f"{geometry.sample_rate} Hz; format the set with the same --fs (stage 3)"
        )


def _valid_samples(config: FinetuneConfig, sample_rate: int) -> int:
    return config.valid_batch_bins or round(VALID_SHARD_SECONDS * sample_rate)


def shards_of(lengths: np.ndarray, rows: np.ndarray, shard_samples: int) -> list[MicroBatch]:
    """Batches of some rows of an index, whole and sorted by length."""
    return [replace(shard, rows=rows[shard.rows]) for shard in sequential_shards(lengths[rows], shard_samples)]
