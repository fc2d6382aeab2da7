"""A share of the utterances of an index that only their ids and a seed decide."""

import hashlib

import numpy as np

from espnet2.data.index import AudioIndex, JoinedIndex


def choose_rows(index: AudioIndex | JoinedIndex, rows: np.ndarray, *, portion: float, seed: int) -> np.ndarray:
    """A share of some rows of an index, by a hash of their ids: those with the lowest, ascending; at least one."""
    count = max(1, round(portion * len(rows)))
    if count >= len(rows):
        return rows
    keys = np.fromiter((id_hash(index.utt_id(row), seed) for row in rows), dtype=np.uint64, count=len(rows))
    return np.sort(rows[np.argpartition(keys, count - 1)[:count]])


def id_hash(utt_id: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed} {utt_id}".encode(), digest_size=8).digest(), "little")
