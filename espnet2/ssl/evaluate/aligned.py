"""Sets with phones and feature extractors of any frame rate in, the same frames of the same utterances for all out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from espnet2.ssl.data.index import AudioIndex
from espnet2.ssl.units.features import FeatureExtractor, map_features
from espnet2.ssl.units.quality import Alignments, read_alignments
from espnet2.ssl.units.sampling import plan_sample
from espnet2.utils.errors import UserError


@dataclass(frozen=True)
class AlignedSet:
    """The utterances of a set that are compared, and their phones."""

    index: AudioIndex
    rows: np.ndarray  # (utterances,) of the index
    frame_counts: np.ndarray  # (utterances,) frames that every row of the table has
    phones: np.ndarray  # (all frames,) ids, NO_PHONE where none is
    num_phones: int


class RateChange(NamedTuple):
    """How frames of one rate are compared at another: every n-th is kept, or each is repeated. Nothing is averaged."""

    keep_every: int
    repeat: int

    @classmethod
    def between(cls, own_rate: float, frame_rate: float) -> "RateChange":
        """From `own_rate` to `frame_rate`, frames per second.

        Raises:
            UserError: neither is a whole multiple of the other.

        >>> RateChange.between(100, 50), RateChange.between(25, 50)
        (RateChange(keep_every=2, repeat=1), RateChange(keep_every=1, repeat=2))
        """
        keep, repeat = max(1, round(own_rate / frame_rate)), max(1, round(frame_rate / own_rate))
        if abs(own_rate * repeat - frame_rate * keep) > 1e-6 * own_rate:
            raise UserError(f"{own_rate:g} features per second cannot be compared at {frame_rate:g}")
        return cls(keep, repeat)

    def count(self, num_frames: np.ndarray) -> np.ndarray:
        """Frames that so many become."""
        return -(-num_frames // self.keep_every) * self.repeat

    def apply(self, features: Tensor) -> Tensor:
        """(layers, frames, dim) -> the same at the other rate."""
        return features[:, :: self.keep_every].repeat_interleave(self.repeat, dim=1)


def align_set(
    dump_set: str | Path, extractors: Sequence[FeatureExtractor], frame_rate: float, max_frames: int
) -> AlignedSet:
    """Choose utterances with phones (by a hash of their ids) up to a number of frames, and cut all rows to one length.

    Raises:
        UserError: no phones.ctm, or none of its utterances is in the set.
    """
    index = AudioIndex.open(dump_set)
    alignments = read_alignments(Path(dump_set) / "phones.ctm")
    num_samples = np.asarray(index.num_samples)
    counts = np.min(
        [
            RateChange.between(extractor.geometry.frame_rate, frame_rate).count(
                extractor.geometry.output_lengths(num_samples)
            )
            for extractor in extractors
        ],
        axis=0,
    )
    portion = min(1.0, max_frames / max(int(counts.sum()), 1))
    rows = plan_sample(index, extractors[0].geometry, portion=portion, max_frames=max_frames, seed=0).rows
    rows = np.array([row for row in rows if index.utt_id(row) in alignments.utterances], dtype=np.int64)
    if len(rows) == 0:
        raise UserError(f"{dump_set}/phones.ctm: holds none of the utterances of the set")
    phones = [_phones(alignments, index.utt_id(row), counts[row], frame_rate) for row in rows]
    return AlignedSet(index, rows, counts[rows], np.concatenate(phones), len(alignments.phones))


def _phones(alignments: Alignments, utt_id: str, num_frames: int, frame_rate: float) -> np.ndarray:
    return alignments.utterances[utt_id].frames(int(num_frames), frame_rate)


def collect(aligned: AlignedSet, extractor: FeatureExtractor, frame_rate: float) -> Tensor:
    """Features of all compared frames of a set: (layers, frames, dim) float32 on the host."""
    change = RateChange.between(extractor.geometry.frame_rate, frame_rate)
    features = torch.empty(extractor.num_layers, int(aligned.frame_counts.sum()), extractor.dim)
    counts = iter(aligned.frame_counts.tolist())
    first = 0
    for part in map_features(aligned.index, aligned.rows, extractor, lambda _, frames: change.apply(frames).cpu()):
        count = next(counts)
        features[:, first : first + count] = part[:, :count]
        first += count
    return features
