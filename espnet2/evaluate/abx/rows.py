"""The frames of one layer of a system and the comparisons in, rows of abx.json (error rates with intervals) out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espnet2.evaluate.abx.cells import Cells, Tiles, make_tiles
from espnet2.evaluate.abx.distance import ItemFrames, tile_distances
from espnet2.evaluate.abx.items import Items
from espnet2.evaluate.abx.row import Compared
from espnet2.evaluate.abx.rule import OLDER, Rule
from espnet2.evaluate.abx.score import PairErrors, average, cell_errors, interval
from espnet2.utils.errors import UserError

CONTINUOUS = ("angular", "euclidean")


@dataclass(frozen=True)
class Comparison:
    """One mode, ready to be computed for any features."""

    cells: Cells
    tiles: Tiles  # X as the row, for distances that depend on the order where paths cost the same
    mirrored_tiles: Tiles  # fewer: for distances of real numbers

    @classmethod
    def of(cls, items: Items, cells: Cells) -> "Comparison":
        return cls(cells, make_tiles(items, cells, mirror=False), make_tiles(items, cells, mirror=True))


@dataclass(frozen=True)
class Materials:
    """What all systems are compared on."""

    items: Items
    firsts: np.ndarray  # (items,) first frame of each item, counted through all utterances
    counts: np.ndarray  # (items,) frames
    comparisons: tuple[Comparison, ...]
    rule: Rule = OLDER

    @classmethod
    def of(cls, items: Items, frame_counts: np.ndarray, cells: Sequence[Cells], rule: Rule = OLDER) -> "Materials":
        """Place the items in the frames of all utterances, one utterance after the other.

        Args:
            frame_counts: (utterances,) frames of each.
        """
        starts = np.cumsum(frame_counts) - frame_counts
        firsts = np.array([starts[item.utterance] + item.first for item in items.items], dtype=np.int64)
        counts = np.array([item.num_frames for item in items.items], dtype=np.int64)
        return cls(items, firsts, counts, tuple(Comparison.of(items, mode_cells) for mode_cells in cells), rule)


def continuous_rows(materials: Materials, frames: Tensor, name: str) -> list[Compared]:
    """A row for each distance and mode.

    Args:
        frames: (frames of all utterances, dim) float32.
        name: for messages.

    Raises:
        UserError: values that are not finite.
    """
    return [row for distance in CONTINUOUS for row in _distance_rows(materials, frames, distance, name)]


def angular_rows(materials: Materials, frames: Tensor, name: str) -> list[Compared]:
    """Those of `continuous_rows` that papers report."""
    return _distance_rows(materials, frames, "angular", name)


def _distance_rows(materials: Materials, frames: Tensor, distance: str, name: str) -> list[Compared]:
    if not torch.isfinite(frames).all():
        raise UserError(f"ABX: some features of {name} are nan or inf; the model has diverged or the audio is bad")
    return [
        _row("continuous", distance, comparison, pair_errors(materials, comparison, frames, distance), materials.rule)
        for comparison in materials.comparisons
    ]


def unit_rows(materials: Materials, units: Sequence[np.ndarray], device: str = "cpu") -> list[Compared]:
    """A row for each mode.

    Args:
        units: (frames of all utterances,) ids, for each seed of k-means; errors are averaged over the seeds.
    """
    rows = []
    for comparison in materials.comparisons:
        pairs_of_seeds = [
            pair_errors(materials, comparison, torch.from_numpy(ids)[:, None].to(device), "equal") for ids in units
        ]
        mean = PairErrors(pairs_of_seeds[0].phones, np.mean([pairs.errors for pairs in pairs_of_seeds], axis=0))
        spread = float(np.ptp([pairs.error_rate for pairs in pairs_of_seeds]))
        rows.append(_row("units", "equal", comparison, mean, materials.rule, spread=spread))
    return rows


def pair_errors(materials: Materials, comparison: Comparison, frames: Tensor, distance: str) -> PairErrors:
    """How often each phone is taken for each other one."""
    tiles = comparison.tiles if distance == "equal" else comparison.mirrored_tiles
    distances = tile_distances(ItemFrames(frames, materials.firsts, materials.counts), tiles, distance)
    errors = cell_errors(comparison.cells, tiles, materials.items.sizes, distances)
    return average(comparison.cells, errors, by_context=comparison.cells.by_context)


def _row(
    features: str,
    distance: str,
    comparison: Comparison,
    pairs: PairErrors,
    rule: Rule,
    *,
    spread: float | None = None,
) -> Compared:
    low, high = interval(pairs)
    counts = (int(comparison.cells.num_triples.sum()), len(pairs.errors))
    return Compared(features, distance, comparison.cells.mode, pairs.error_rate, low, high, *counts, spread, rule)
