"""Distances of pairs in, ABX error rates per comparison, averaged as published, with an interval by resampling, out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from espnet2.evaluate.abx.cells import Cells, Tiles

NUM_RESAMPLES = 1000
CONFIDENCE = 0.95
TRIPLES_AT_ONCE = 1 << 23  # compared in one piece: 64 MB


@dataclass(frozen=True)
class PairErrors:
    """How often one phone is taken for another, over all contexts and speakers."""

    phones: np.ndarray  # (pairs, 2) numbers of A and B
    errors: np.ndarray  # (pairs,) 0..1

    @property
    def error_rate(self) -> float:
        """Each pair counts the same."""
        return float(self.errors.mean())


def cell_errors(cells: Cells, tiles: Tiles, sizes: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The share of the triples of each comparison in which x is nearer to b than to a; a tie is half an error.

    Args:
        sizes: (groups,) items of each.
        distances: (pairs,) of `tiles`.

    Returns:
        (cells,) float64.
    """
    errors = np.empty(len(cells.a))
    shapes = np.stack([sizes[cells.x], sizes[cells.a], sizes[cells.b], cells.x == cells.a], axis=1)
    kinds, kind_of_cell, kind_sizes = np.unique(shapes, axis=0, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(kind_of_cell.reshape(-1), kind="stable"), np.cumsum(kind_sizes)[:-1])
    for (num_x, num_a, num_b, same), chosen in _pieces(kinds, members):  # cells of one shape at once
        to_a = distances[_places(tiles.to_a[chosen], num_x, num_a)][:, :, :, None]
        to_b = distances[_places(tiles.to_b[chosen], num_x, num_b)][:, :, None, :]
        wrong = (to_a > to_b) + 0.5 * (to_a == to_b)
        if same:
            wrong[:, np.arange(num_x), np.arange(num_x)] = 0  # x is not compared with itself
        errors[chosen] = wrong.sum((1, 2, 3)) / cells.num_triples[chosen]
    return errors


def _pieces(kinds: np.ndarray, members: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each shape with as many of its cells as fit into memory together."""
    for kind, cells in zip(kinds, members, strict=True):
        together = max(1, TRIPLES_AT_ONCE // int(kind[:3].prod()))
        for first in range(0, len(cells), together):
            yield kind, cells[first : first + together]


def _places(steps: np.ndarray, num_rows: int, num_columns: int) -> np.ndarray:
    """(cells, rows, columns): where the distances lie."""
    offset, row_step, column_step = (steps[:, i, None, None] for i in range(3))
    rows, columns = np.arange(num_rows)[None, :, None], np.arange(num_columns)[None, None]
    addresses: np.ndarray = offset + rows * row_step + columns * column_step
    return addresses


def average(cells: Cells, errors: np.ndarray, *, by_context: bool = True) -> PairErrors:
    """Average over contexts (and the speakers of X), then over speakers: Libri-light, Kahn et al. 2020, section 3.1.

    Args:
        errors: (cells,)
        by_context: False: over all speakers at once, as ZeroSpeech 2021's any-context does and fastabx.
    """
    if not by_context:
        return PairErrors(*_group_means(cells.keys[:, 1:], errors))
    by_speaker, means = _group_means(cells.keys, errors)
    return PairErrors(*_group_means(by_speaker[:, 1:], means))


def _group_means(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of `keys` and the mean of the values of each."""
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return distinct, np.bincount(which, weights=values) / np.bincount(which)


def interval(pairs: PairErrors, *, seed: int = 0) -> tuple[float, float]:
    """Where 95 % of the error rates lie when phone pairs are drawn again, with replacement.

    (A, B) and (B, A) are drawn together: they share all their items. The draws depend on the pairs and the seed only,
    so systems that are measured on the same items are drawn alike.
    """
    _, which = np.unique(np.sort(pairs.phones, axis=1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    sums, counts = np.bincount(which, weights=pairs.errors), np.bincount(which)
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=NUM_RESAMPLES)
    rates = draws @ sums / (draws @ counts)
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
