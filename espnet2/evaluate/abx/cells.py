"""Grouped items in, the comparisons within or across speakers (cells) and the pairs of items they need (tiles) out."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from espnet2.evaluate.abx.items import Items
from espnet2.utils.files import hash_bytes

MODES = ("within", "across")


class Cell(NamedTuple):
    """Every a of A, b of B and x of X: is x, spoken with the phone of A, nearer to a than to b?"""

    a: int  # group: a context, a speaker, a phone
    b: int  # group: same context, same speaker, another phone
    x: int  # group: same context, same phone as A; the same group (within) or of another speaker (across)


@dataclass(frozen=True)
class Cells:
    """The comparisons of one mode."""

    mode: str  # of MODES
    a: np.ndarray  # (cells,) groups
    b: np.ndarray  # (cells,) groups
    x: np.ndarray  # (cells,) groups
    keys: np.ndarray  # (cells, 3) numbers of the speaker of A and B, of the phone of A, of the phone of B
    num_triples: np.ndarray  # (cells,)
    num_left_out: int  # triples of the contexts above the limit
    by_context: bool = True  # errors are averaged over the contexts of a speaker before they are over speakers

    @property
    def num_phone_pairs(self) -> int:
        """Ordered pairs of phones that are told apart."""
        return len(np.unique(self.keys[:, 1:], axis=0))


def make_cells(
    items: Items,
    mode: str,
    *,
    max_x: int | None,
    max_triples: int | None,
    seed: int = 0,
    by_context: bool = True,
) -> Cells:
    """List the comparisons: same context for all, A and B of one speaker.

    Libri-light (Kahn et al. 2020, section 3.1): within, X are the other items of A's group; across, X are items of the
    same context and phone of another speaker.

    Args:
        max_x: across, at most so many other speakers for each A, those with the lowest hash; None: all.
        max_triples: whole contexts are taken, in the order of a hash of their names, while there are no more; the
            first is always taken. None: all.
        by_context: whether the items of a context lie together, see `Cells`.
    """
    groups: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for number in range(len(items.sizes)):
        item = items.group(number)
        groups[item.context][item.speaker][item.phone] = number
    find = _within if mode == "within" else _across
    kept: list[Cell] = []
    num_triples: list[int] = []
    left_out = 0
    for context in sorted(groups, key=lambda name: hash_bytes(str(seed), name)):
        cells = list(find(groups[context], items.sizes, max_x, f"{seed} {context}"))
        counts = [_count_triples(cell, items.sizes) for cell in cells]
        if left_out or (max_triples is not None and kept and sum(num_triples) + sum(counts) > max_triples):
            left_out += sum(counts)
        else:
            kept += cells
            num_triples += counts
    columns = np.array(kept, dtype=np.int64).reshape(-1, 3)
    names = [(items.group(cell.a).speaker, items.group(cell.a).phone, items.group(cell.b).phone) for cell in kept]
    a, b, x = columns.T
    return Cells(mode, a, b, x, _numbered(names), np.array(num_triples, dtype=np.int64), left_out, by_context)


def _within(speakers: dict[str, dict[str, int]], sizes: np.ndarray, max_x: int | None, salt: str) -> Iterator[Cell]:
    for phones in speakers.values():
        for phone, a in phones.items():
            if sizes[a] > 1:
                yield from (Cell(a, b, a) for other, b in phones.items() if other != phone)


def _across(speakers: dict[str, dict[str, int]], sizes: np.ndarray, max_x: int | None, salt: str) -> Iterator[Cell]:
    for speaker, phones in speakers.items():
        if len(phones) == 1:
            continue
        for phone, a in phones.items():
            others = [name for name, theirs in speakers.items() if name != speaker and phone in theirs]
            if max_x is not None and len(others) > max_x:
                others = sorted(others, key=lambda name: hash_bytes(salt, speaker, phone, name))[:max_x]
            for other in others:
                yield from (Cell(a, b, speakers[other][phone]) for name, b in phones.items() if name != phone)


def _count_triples(cell: Cell, sizes: np.ndarray) -> int:
    """An item is not compared with itself."""
    return int((sizes[cell.x] - (cell.a == cell.x)) * sizes[cell.a] * sizes[cell.b])


def _numbered(names: list[tuple[str, str, str]]) -> np.ndarray:
    """(cells, 3) int64: each column's names by their rank; ranks of phones are common to both columns."""
    speakers = {name: rank for rank, name in enumerate(sorted({name[0] for name in names}))}
    phones = {name: rank for rank, name in enumerate(sorted({phone for name in names for phone in name[1:]}))}
    rows = [(speakers[speaker], phones[a], phones[b]) for speaker, a, b in names]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


@dataclass(frozen=True)
class Tiles:
    """Distances to compute, each once. A tile is every item of one group with every item of the groups it meets.

    The distances of a tile are stored row by row, one tile after the other. That of item i of X and item j of another
    group is at `offset + i * row_step + j * column_step`.
    """

    rows: np.ndarray  # (tiles, 2) first item and number of items: those of a group lie together
    columns: np.ndarray  # (all columns,) items, tile after tile
    column_ends: np.ndarray  # (tiles,) where the columns of each tile end
    to_a: np.ndarray  # (cells, 3) offset, row_step, column_step of X with A
    to_b: np.ndarray  # (cells, 3) of X with B

    @property
    def num_pairs(self) -> int:
        return int((self.rows[:, 1] * np.diff(self.column_ends, prepend=0)).sum())


def make_tiles(items: Items, cells: Cells, *, mirror: bool) -> Tiles:
    """Find the pairs of items that the comparisons need; many triples share each.

    Args:
        mirror: the distance of two items is the same either way round: compute it once.
    """
    group_pairs = np.stack([np.tile(cells.x, 2), np.concatenate([cells.a, cells.b])], axis=1)  # X is the row
    ordered = np.sort(group_pairs, axis=1) if mirror else group_pairs
    blocks, which = np.unique(ordered, axis=0, return_inverse=True)
    which = which.reshape(-1)
    groups, first_block, tile_of_block = np.unique(blocks[:, 0], return_index=True, return_inverse=True)
    widths = items.sizes[blocks[:, 1]]
    ends = np.cumsum(widths)
    column_ends = np.append(ends[first_block[1:] - 1], ends[-1:])
    tile_widths = np.diff(column_ends, prepend=0)
    heights = items.sizes[groups]
    tile_starts = np.cumsum(heights * tile_widths) - heights * tile_widths
    block_starts = ends - widths - (column_ends - tile_widths)[tile_of_block]  # within its tile
    offsets = (tile_starts[tile_of_block] + block_starts)[which]
    steps = tile_widths[tile_of_block][which]
    turned = (ordered != group_pairs).any(1)
    addresses = np.stack([offsets, np.where(turned, 1, steps), np.where(turned, steps, 1)], axis=1)
    columns = ranges(items.firsts[blocks[:, 1]], widths)
    half = len(cells.x)
    return Tiles(
        np.stack([items.firsts[groups], heights], axis=1), columns, column_ends, addresses[:half], addresses[half:]
    )


def ranges(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """So many whole numbers from each first, one range after the other.

    >>> ranges(np.array([5, 0]), np.array([3, 2])).tolist()
    [5, 6, 7, 0, 1]
    """
    ends = np.cumsum(counts)
    return np.repeat(firsts - (ends - counts), counts) + np.arange(counts.sum())
