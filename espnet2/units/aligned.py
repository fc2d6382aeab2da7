"""Sets with phones and feature extractors of any frame rate in, the same frames of the same utterances for all out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet2.data.choose import choose_frames
from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import FeatureExtractor, map_features
from espnet2.utils.errors import UserError


@dataclass(frozen=True)
class AlignedSet:
    """The utterances of a set that are compared, and their phones."""

    index: AudioIndex | JoinedIndex
    rows: np.ndarray  # (utterances,) of the index
    frame_counts: np.ndarray  # (utterances,) frames that every row of the table has
    phones: np.ndarray | None  # (all frames,) ids, NO_PHONE where none is; None without alignments
    num_phones: int = 0
    symbols: tuple[str, ...] = ()  # id -> phone; the ids of two sets differ
    origin: str = ""  # where the phones come from
    notes: tuple[str, ...] = ()  # about the alignments, in plain words

    def split(self, frames: np.ndarray) -> list[np.ndarray]:
        """(all frames, ...) -> those of each utterance."""
        return np.split(frames, np.cumsum(self.frame_counts)[:-1])


@dataclass(frozen=True)
class RateChange:
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
    dump_set: str | Path,
    extractors: Sequence[FeatureExtractor],
    frame_rate: float,
    max_frames: int,
    *,
    alignments: str | Path | None = None,
    need_phones: bool = True,
) -> AlignedSet:
    """Choose utterances with phones (by a hash of their ids) up to a number of frames, and cut all rows to one length.

    Args:
        alignments: file or folder of phones, as for `find_phones`; None: the set's own phones.ctm.
        need_phones: without alignments, raise; False takes any utterances, without phones.

    Raises:
        UserError: no alignments, or they are not of this set, or features do not fit the frame rate.
    """
    index = AudioIndex.open(dump_set)
    files = find_phones(dump_set, alignments)
    if files is None and need_phones:
        raise UserError(f"{missing_phones(dump_set, alignments)}: put phones.ctm there, or use --alignment_phoneme_dir")
    phones = read_phones(files, dump_set) if files else None
    counts = common_counts(index, extractors, frame_rate)
    usable = np.array([
        phones is None or index.utt_id(row) in phones.alignments.utterances for row in range(len(index))
    ])  # fmt: skip
    rows = choose_frames(index, usable & (counts > 0), counts, max_frames)
    if len(rows) == 0:
        raise UserError(f"{dump_set}: none of the utterances chosen for {max_frames} frames has enough audio")
    if phones is None:
        return AlignedSet(index, rows, counts[rows], None)
    known = phones.alignments
    ids = [known.utterances[index.utt_id(row)].frames(int(counts[row]), frame_rate) for row in rows]
    symbols = known.phones
    phone_ids = np.concatenate(ids)
    return AlignedSet(index, rows, counts[rows], phone_ids, len(symbols), symbols, phones.origin, phones.notes)


def missing_phones(dump_set: str | Path, alignments: str | Path | None = None) -> str:
    """A sentence about alignments that are not there."""
    return f"no phone alignments of {dump_set}" + (f", neither there nor in {alignments}" if alignments else "")


def common_counts(index: AudioIndex, extractors: Sequence[FeatureExtractor], frame_rate: float) -> np.ndarray:
    """(utterances of the index,) frames that all extractors have of each at the common rate."""
    num_samples = np.asarray(index.num_samples)
    geometries = [extractor.geometry for extractor in extractors]
    counts = [
        RateChange.between(geometry.frame_rate, frame_rate).count(geometry.output_lengths(num_samples))
        for geometry in geometries
    ]
    fewest: np.ndarray = np.min(counts, axis=0)
    return fewest


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
