"""Which utterances lie side by side on the disk: rows of an index in blocks of one file, in the order of its bytes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espnet2.data.index import AudioIndex, JoinedIndex, StringColumn

CHUNK_ROWS = 200_000  # names looked at together: bounds the memory for any number of rows
WORD_BYTES = 8
MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: Knuth, TAOCP 3, section 6.4
COLON, ZERO, OPENED, COMMA, CLOSED = map(ord, ":0[,]")
ROW_BITS = 32  # of a row's number inside its row group
MAX_DIGITS = 18  # of an offset: fits int64


class Blocks(NamedTuple):
    """The rows of an index as they are read from one end of the storage to the other."""

    rows: NDArray[np.int32]  # (utterances,) rows of the index; a block's lie together, in the order of its bytes
    starts: NDArray[np.int64]  # (blocks + 1,) bounds in `rows`

    def __len__(self) -> int:
        return len(self.starts) - 1


def storage_blocks(index: JoinedIndex, block_utterances: int) -> Blocks:
    """Divide an index into blocks of at most so many utterances of one container.

    A container is what an entry names before its first colon (an ark, a tar, a Parquet file). Plain files of one folder
    are one container, in the order of their utterance ids.
    """
    keys, offsets = (np.concatenate(parts) for parts in zip(*map(_locations, index.parts), strict=True))
    sets = index.set_ids
    order = np.lexsort((offsets, keys, sets)).astype(np.int32)  # stable: equal offsets stay in the order of ids
    keys, sets = keys[order], sets[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (keys[1:] != keys[:-1]) | (sets[1:] != sets[:-1])
    firsts = np.flatnonzero(begins)
    sizes = np.diff(firsts, append=len(order))
    inside = np.arange(len(order)) - np.repeat(firsts, sizes)
    # Blocks of one container are about equally large: 1001 utterances in blocks of 1000 are 501 and 500.
    block_sizes = -(-sizes // (-(-sizes // block_utterances)))
    starts = np.flatnonzero(inside % np.repeat(block_sizes, sizes) == 0)
    return Blocks(order, np.append(starts, len(order)))


def _locations(part: AudioIndex) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """((rows,) a number for the container of each row, (rows,) where in the container it lies)."""
    folder_ids, names = part.name_columns
    keys, offsets = np.empty(len(part), dtype=np.uint64), np.empty(len(part), dtype=np.int64)
    for begin in range(0, len(part), CHUNK_ROWS):
        chunk = slice(begin, min(begin + CHUNK_ROWS, len(part)))
        keys[chunk], offsets[chunk] = _parse(names, chunk)
        keys[chunk] = (keys[chunk] ^ (folder_ids[chunk].astype(np.uint64) + np.uint64(1))) * MIXER
    return keys, offsets


def _parse(names: StringColumn, chunk: slice) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(a hash of what stands before the first colon, 0 without one; the byte, or row group and row, behind it)."""
    bounds = names.offsets[chunk.start : chunk.stop + 1]
    characters = np.zeros(int(bounds[-1] - bounds[0]) + WORD_BYTES, dtype=np.uint8)
    characters[:-WORD_BYTES] = names.bytes[bounds[0] : bounds[-1]]
    starts, ends = bounds[:-1] - bounds[0], bounds[1:] - bounds[0]
    firsts = _next(characters, COLON, starts)
    last = characters[np.maximum(ends, 1) - 1]  # neither: a file whose name has a colon
    opened = _next(characters, OPENED, starts)
    is_part = (firsts < ends) & ((last == CLOSED) | (last >= ZERO) & (last <= ZERO + 9))
    is_row = is_part & (firsts < opened) & (opened < ends)
    stops = np.where(is_part, firsts, starts)  # a plain file: nothing of its name counts
    offsets = _numbers(characters, np.where(is_part & ~is_row, stops + 1, ends), ends)
    if is_row.any():  # x.parquet:audio[3,17]
        groups, rows = (
            _numbers(characters, np.where(is_row, _next(characters, mark, starts) + 1, ends), ends)
            for mark in (OPENED, COMMA)
        )
        offsets += (groups << ROW_BITS) + rows
    return _hashes(characters, starts, stops), offsets


def _next(characters: NDArray[np.uint8], mark: int, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where a character stands next, from each start on; behind all of them where it does not."""
    marks = np.append(np.flatnonzero(characters == mark), len(characters))
    positions: NDArray[np.int64] = marks[np.searchsorted(marks, starts)]
    return positions


def _hashes(characters: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Of `characters[start:stop]`, eight bytes at a time; 0 of nothing.

    Two of n containers meet with probability n^2 / 2^65: then they are read as one, which costs speed and no result.
    """
    words = np.ndarray(len(characters) - WORD_BYTES + 1, dtype="<u8", buffer=characters.data, strides=(1,))
    hashes = np.zeros(len(starts), dtype=np.uint64)
    longest = int((stops - starts).max(initial=0))
    for offset in range(0, longest, WORD_BYTES):
        rows = np.flatnonzero(starts + offset < stops)
        left = np.minimum(stops[rows] - starts[rows] - offset, WORD_BYTES).astype(np.uint64)
        word = words[starts[rows] + offset]
        unused = np.uint64(8) * (np.uint64(WORD_BYTES) - left)
        hashes[rows] = (hashes[rows] ^ (word << unused)) * MIXER
        hashes[rows] ^= hashes[rows] >> np.uint64(32)
    return hashes


def _numbers(characters: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The decimal digits from `start` on."""
    numbers = np.zeros(len(starts), dtype=np.int64)
    rows = np.flatnonzero(starts < ends)
    for digit in range(MAX_DIGITS):
        rows = rows[starts[rows] + digit < ends[rows]]
        values = characters[starts[rows] + digit].astype(np.int64) - ZERO
        is_digit = (values >= 0) & (values <= 9)
        rows = rows[is_digit]
        if not len(rows):
            break
        numbers[rows] = 10 * numbers[rows] + values[is_digit]
    return numbers
