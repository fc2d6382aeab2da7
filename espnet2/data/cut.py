"""Utterances in some order in, micro-batches of about equal length and bounded size out."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Samples = TypeVar("Samples", float, NDArray[np.integer])


@dataclass(frozen=True)
class CutRule:
    """How large a micro-batch may be, and how long.

    With `quadratic_samples` an utterance of n samples costs n + n^2 / quadratic_samples instead of n: what attention
    needs grows with the square of the length, so a bound on this sum makes memory even (lhotse's `quadratic_duration`).
    """

    shard_samples: int  # cost of one micro-batch of one rank, padding included
    step: int  # batch lengths are multiples of it (the rule that keeps the number of shapes small)
    shortest: bool  # as long as the shortest utterance, rounded down; otherwise as the longest, rounded up
    quadratic_samples: int | None = None

    def cost(self, samples: Samples) -> Samples:
        """What one utterance of so many samples costs."""
        if self.quadratic_samples is None:
            return samples
        wide = np.asarray(samples, dtype=np.int64) if isinstance(samples, np.ndarray) else samples
        return wide + wide * wide // self.quadratic_samples

    def on_grid(self, lengths: NDArray[np.integer]) -> NDArray[np.integer]:
        """Lengths rounded to multiples of `step`: down (`shortest`), or up, but not beyond the longest of all."""
        step = self.step
        if self.shortest:
            return np.where(lengths < step, lengths, lengths // step * step)  # below one step they keep their length
        up: NDArray[np.integer] = np.minimum(-(-lengths // step) * step, lengths.max(initial=0))
        return up


def sorted_in_windows(
    order: NDArray[np.integer], lengths: NDArray[np.integer], window_size: int, rule: CutRule
) -> NDArray[np.integer]:
    """Sort each `window_size` utterances by length.

    Sorting on the grid leaves utterances of about equal length in random order: other company in each epoch.

    Args:
        order: (utterances of the pass,) rows.
        lengths: (utterances of the index,) samples.
    """
    grid = rule.on_grid(lengths[order])
    sorted_order = np.empty_like(order)
    for begin in range(0, len(order), window_size):  # window by window: each fits the cache
        window = slice(begin, begin + window_size)
        sorted_order[window] = order[window][np.argsort(grid[window], kind="stable")]
    return sorted_order


def cut_shards(
    lengths: NDArray[np.integer], window_size: int, rule: CutRule
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut utterances, sorted by their lengths on the grid inside each window, into consecutive shards.

    Args:
        lengths: (utterances,) samples.
        window_size: utterances; shards never cross a window.

    Returns:
        ((shards + 1,) bounds, (shards,) batch lengths).
    """
    starts, samples = [0], []
    on_grid = rule.on_grid(lengths)
    grid, costs, limit, shortest = on_grid.tolist(), rule.cost(on_grid).tolist(), rule.shard_samples, rule.shortest
    for window in range(0, len(grid), window_size):
        begin, end = window, min(window + window_size, len(grid))
        while begin < end:
            stop = min(begin + max(1, limit // costs[begin]), end)
            if not shortest:  # ascending: the last one is the longest
                while stop > begin + 1 and costs[stop - 1] * (stop - begin) > limit:
                    stop -= 1
            samples.append(grid[begin] if shortest else grid[stop - 1])
            starts.append(stop)
            begin = stop
    return np.asarray(starts, dtype=np.int64), np.asarray(samples, dtype=np.int64)
