"""Some utterances of an index, chosen by nothing but a hash of their ids: a share, or as many as fit a length."""

import hashlib
import zlib
from collections.abc import Iterable

import numpy as np

from espnet2.data.index import AudioIndex, JoinedIndex


def choose_share(index: AudioIndex | JoinedIndex, rows: np.ndarray, *, portion: float, seed: int) -> np.ndarray:
    """A share of some rows of an index, by a hash of their ids: those with the lowest, ascending; at least one."""
    count = max(1, round(portion * len(rows)))
    if count >= len(rows):
        return rows
    keys = np.fromiter((id_hash(index.utt_id(row), seed) for row in rows), dtype=np.uint64, count=len(rows))
    return np.sort(rows[np.argpartition(keys, count - 1)[:count]])


def choose_frames(index: AudioIndex, usable: np.ndarray, counts: np.ndarray, max_frames: int) -> np.ndarray:
    """A share of the usable utterances that has about so many frames: (chosen,) rows, ascending.

    Args:
        usable: (utterances of the index,) bool.
        counts: (utterances of the index,) frames of each.
    """
    portion = min(1.0, max_frames / max(int(counts[usable].sum()), 1))
    return choose_share(index, np.flatnonzero(usable), portion=portion, seed=0)


def choose_fitting(index: AudioIndex | JoinedIndex, rows: Iterable[int], max_samples: int) -> np.ndarray:
    """Utterances in the order of a hash of their ids, each one that still fits: (chosen,) rows, ascending."""
    # CRC-32, not `id_hash`: the probe of the trainings so far chose by it, and their curves are compared with new ones.
    order = sorted(rows, key=lambda row: (zlib.crc32(index.utt_id(row).encode()), row))
    chosen, left = [], max_samples
    for row in order:
        if (length := int(index.num_samples[row])) <= left:
            chosen.append(row)
            left -= length
    return np.array(sorted(chosen), dtype=np.int64)


def id_hash(utt_id: str, seed: int) -> int:
    """64 bits of BLAKE2b: the same on every machine and in every process, unlike Python's own `hash`."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {utt_id}".encode(), digest_size=8).digest(), "little")
