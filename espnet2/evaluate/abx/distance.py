"""Frames of items and tiles of pairs in, the distance of each pair by dynamic time warping out, in batches."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espnet2.evaluate.abx.cells import Tiles, ranges

DISTANCES = ("angular", "euclidean", "equal")
LATTICE_CELLS = 1 << 18  # of the padded lattices warped together, 1 MB: stays in a core's cache
FRAME_PAIRS = 1 << 22  # distances of frames held at a time, 16 MB


@dataclass(frozen=True)
class ItemFrames:
    """The frames of a system, and where in them each item lies. Items may share frames."""

    frames: Tensor  # (frames, dim) float32; ids as (frames, 1) for "equal"
    firsts: np.ndarray  # (items,) int64
    counts: np.ndarray  # (items,) int64, at least 1


@dataclass(frozen=True)
class _Plan:
    """Where the frames of the tiles are, and where the distances of the frames of each pair will be."""

    row_frames: Tensor  # the frames of the rows of all tiles
    row_bounds: list[int]  # (tiles + 1,) in row_frames
    column_frames: Tensor
    column_bounds: list[int]  # (tiles + 1,)
    value_bounds: np.ndarray  # (tiles + 1,) in the distances of frames of all tiles
    pair_bounds: np.ndarray  # (tiles + 1,) in the pairs of all tiles
    pairs: np.ndarray  # (4, pairs) height, width, offset of the first value, from one row to the next

    @classmethod
    def of(cls, items: ItemFrames, tiles: Tiles) -> "_Plan":
        row_items = ranges(*tiles.rows.T)
        bounds = np.append(0, np.cumsum(tiles.rows[:, 1])), np.append(0, tiles.column_ends)
        counts = items.counts[row_items], items.counts[tiles.columns]
        ends = [np.append(0, np.cumsum(frame_counts)) for frame_counts in counts]  # of the items, in the frames of all
        frame_bounds = [end[bound] for end, bound in zip(ends, bounds, strict=True)]
        num_rows, num_columns = map(np.diff, bounds)
        heights, widths = map(np.diff, frame_bounds)
        pair_bounds, value_bounds = (
            np.append(0, np.cumsum(sizes)) for sizes in (num_rows * num_columns, heights * widths)
        )
        tile = np.repeat(np.arange(len(num_rows)), num_rows * num_columns)
        pair = np.arange(len(tile)) - pair_bounds[tile]
        row, column = bounds[0][tile] + pair // num_columns[tile], bounds[1][tile] + pair % num_columns[tile]
        above = ends[0][row] - frame_bounds[0][tile]
        before = ends[1][column] - frame_bounds[1][tile]
        offsets = value_bounds[tile] + above * widths[tile] + before
        return cls(
            torch.from_numpy(ranges(items.firsts[row_items], counts[0])).to(items.frames.device),
            frame_bounds[0].tolist(),
            torch.from_numpy(ranges(items.firsts[tiles.columns], counts[1])).to(items.frames.device),
            frame_bounds[1].tolist(),
            value_bounds,
            pair_bounds,
            np.stack([counts[0][row], counts[1][column], offsets, widths[tile]]),
        )

    def parts(self) -> Iterator[tuple[int, int]]:
        """Tiles with about FRAME_PAIRS values: (first, stop)."""
        first = 0
        while first < len(self.row_bounds) - 1:
            stop = int(np.searchsorted(self.value_bounds, self.value_bounds[first] + FRAME_PAIRS))
            stop = min(max(stop, first + 1), len(self.row_bounds) - 1)
            yield first, stop
            first = stop


def tile_distances(items: ItemFrames, tiles: Tiles, distance: str) -> np.ndarray:
    """Distances of many pairs of items.

    The distance of frames is their angle / pi, their Euclidean distance, or 0 for equal ids and 1 for others; that of
    items is its sum along the cheapest path of dynamic time warping, divided by the number of frame pairs on the path.

    Args:
        distance: of DISTANCES.

    Returns:
        (pairs,) float32, in the order of the tiles.
    """
    distances = np.empty(tiles.num_pairs, dtype=np.float32)
    if len(distances) == 0:
        return distances
    plan = _Plan.of(items, tiles)
    frames = _prepared(items.frames, distance)
    empty = ~frames.any(1) if distance == "angular" else torch.zeros(0, dtype=torch.bool)
    null = empty if empty.any() else None
    for first, stop in plan.parts():
        values = torch.cat([
            _between(
                frames,
                plan.row_frames[plan.row_bounds[tile] : plan.row_bounds[tile + 1]],
                plan.column_frames[plan.column_bounds[tile] : plan.column_bounds[tile + 1]],
                distance,
                null,
            ).reshape(-1)
            for tile in range(first, stop)
        ])  # fmt: skip
        if distance == "angular":
            values = values.clamp_(-1, 1).acos_().div_(math.pi)
        pairs = slice(plan.pair_bounds[first], plan.pair_bounds[stop])
        offsets = plan.pairs[:, pairs].copy()
        offsets[2] -= plan.value_bounds[first]
        distances[pairs] = _warp_all(values, offsets)
    return distances


def _prepared(frames: Tensor, distance: str) -> Tensor:
    if distance == "angular":
        return torch.nn.functional.normalize(frames, dim=1, eps=torch.finfo(frames.dtype).tiny)
    if distance == "euclidean":
        return frames - frames.mean(0)  # squared distances are differences of large numbers unless centred
    return frames[:, 0].long()


def _between(frames: Tensor, rows: Tensor, columns: Tensor, distance: str, null: Tensor | None) -> Tensor:
    """Distances of frames, or the cosines of their angles: (rows, columns).

    Args:
        rows, columns: numbers of frames.
        null: (frames,) which are null vectors, if any is.
    """
    left, right = frames[rows], frames[columns]
    if distance == "equal":
        return (left[:, None] != right[None]).float()
    if distance == "euclidean":
        squares = torch.addmm(right.square().sum(1)[None], left, right.T, alpha=-2)
        return squares.add_(left.square().sum(1)[:, None]).clamp_(min=0).sqrt_()
    cosines = left @ right.T
    if null is not None:  # no angle: as far as can be from others, at no distance from each other (Libri-light)
        cosines[null[rows][:, None] != null[columns][None]] = -1
        cosines[null[rows][:, None] & null[columns][None]] = 1
    return cosines


def _warp_all(values: Tensor, offsets: np.ndarray) -> np.ndarray:
    """The distances of the pairs of items, in their order; pairs of similar lengths are warped together.

    Args:
        values: distances of frames.
        offsets: (4, pairs), as in `_Plan.pairs`.
    """
    distances = np.empty(offsets.shape[1], dtype=np.float32)
    for batch in _batches(offsets[0], offsets[1]):
        columns = torch.from_numpy(offsets[:, batch]).to(values.device)
        distances[batch] = warp(_lattice(values, *columns), *columns[:2]).cpu().numpy()
    return distances


def _batches(heights: np.ndarray, widths: np.ndarray) -> Iterator[np.ndarray]:
    order = np.lexsort((widths, heights))
    first = 0
    while first < len(order):
        # The longest of a batch is not known before its size is: its first pair is a good guess.
        guess = int((heights[order[first]] + 2) * (widths[order[first]] + 2))
        stop = first + max(1, LATTICE_CELLS // guess)
        yield order[first:stop]
        first = stop


def _lattice(values: Tensor, heights: Tensor, widths: Tensor, starts: Tensor, steps: Tensor) -> Tensor:
    """(1 + longest height, 1 + longest width, pairs): distances of frames, behind a border for `warp`.

    Behind the end of a pair its last row and column go on: they are not looked at.
    """
    rows = torch.arange(int(heights.max()), device=values.device)[:, None]
    columns = torch.arange(int(widths.max()), device=values.device)[:, None]
    row_starts = starts + torch.minimum(rows, heights - 1) * steps  # (height, pairs)
    offsets = row_starts[:, None] + torch.minimum(columns, widths - 1)[None]
    return torch.nn.functional.pad(values[offsets], (0, 0, 1, 0, 1, 0), value=math.inf)


def warp(lattice: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """Dynamic time warping of many pairs at once: the cost of the cheapest path / the number of its cells.

    A path goes one row, one column or both ahead. Where paths cost the same, the path is the one that Libri-light's
    evaluation finds walking back from the end: both before one column, one column before one row; the number of cells
    depends on it, above all for ids. Cells of one anti-diagonal are independent, and are computed together.

    Args:
        lattice: (1 + height, 1 + width, pairs) contiguous, distances of frames; row 0 and column 0 are infinite. It is
            overwritten with the costs.
        heights, widths: (pairs,) lengths without padding.

    Returns:
        (pairs,)
    """
    height, width, num_pairs = (size - add for size, add in zip(lattice.shape, (1, 1, 0), strict=True))
    passed = torch.zeros_like(lattice)  # cells on the path up to here
    lattice[0, 0] = 0

    def cells(values: Tensor, first: int, stop: int, total: int) -> Tensor:
        """(stop - first, pairs): the cells (row, total - row), a view."""
        start = (first * (width + 1) + total - first) * num_pairs
        return values.as_strided((stop - first, num_pairs), (width * num_pairs, 1), start)

    for total in range(2, height + width + 1):
        first, stop = max(1, total - width), min(height, total - 1) + 1
        both, row, column = (first - 1, stop - 1, total - 2), (first - 1, stop - 1, total - 1), (first, stop, total - 1)
        from_both, from_row, from_column = (cells(lattice, *cell) for cell in (both, row, column))
        takes_both = from_both <= torch.minimum(from_row, from_column)
        takes_column = from_column <= from_row
        before = torch.where(takes_both, from_both, torch.where(takes_column, from_column, from_row))
        cells(lattice, first, stop, total).add_(before)
        one_way = torch.where(takes_column, cells(passed, *column), cells(passed, *row))
        cells(passed, first, stop, total).copy_(torch.where(takes_both, cells(passed, *both), one_way).add_(1))
    ends = (heights, widths, torch.arange(num_pairs, device=lattice.device))
    return lattice[ends] / passed[ends]
