"""The endless stream of micro-batches: their order is a function of (seed, epoch) alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LENGTH_STEPS_PER_MEAN = (
    40  # batch lengths lie on a grid of mean / 40: rounding up costs about 1.3 %, and few shapes arise
)
SHARDS_PER_WINDOW = 64  # sorted by length together: enough for little padding, few enough to stay well mixed


@dataclass(frozen=True)
class Cursor:
    """Where the stream stands: everything a resumed run needs to know about its data."""

    epoch: int = 0  # pass over the data, from 0
    position: int = 0  # micro-batches of this pass already consumed
    number: int = 0  # micro-batches consumed since the start of the training: seeds all draws


@dataclass(frozen=True)
class MicroBatch:
    """What a loader process needs to make one Batch; the same description always gives the same bytes."""

    rows: NDArray[np.int64]  # (batch,) rows of the index
    num_samples: int  # length of the batch: utterances are cropped or padded to it
    number: int  # global number of the micro-batch
    epoch: int


@dataclass(frozen=True)
class ShardPlan:
    """How one pass over the data falls into micro-batches, in training order."""

    order: NDArray[np.integer]  # (utterances of the pass,) rows of the index
    starts: NDArray[np.int64]  # (shards + 1,) bounds in `order`, ascending
    num_samples: NDArray[np.int64]  # (shards,) batch length
    sequence: NDArray[np.int64]  # (shards,) the order in which they are used

    def __len__(self) -> int:
        return len(self.num_samples)

    def shard(self, position: int) -> tuple[NDArray[np.integer], int]:
        """(rows, batch length) of the `position`-th micro-batch of the pass."""
        which = self.sequence[position]
        return self.order[self.starts[which] : self.starts[which + 1]], int(self.num_samples[which])

    def padding_share(self, lengths: NDArray[np.int64]) -> float:
        """Share of padding in all samples of the pass; 0 where batches are cropped to their shortest."""
        sizes = np.diff(self.starts)
        total = float((sizes * self.num_samples).sum())
        padded_lengths = np.repeat(self.num_samples, sizes)
        return 1.0 - float(np.minimum(lengths[self.order], padded_lengths).sum()) / total


@dataclass(frozen=True)
class Sampling:
    """Groups of utterances and how often each is seen."""

    groups: NDArray[np.integer]  # (utterances of the index,) group of each
    alpha: float  # a group is seen in proportion to (its samples)^alpha


class Sampler:
    """Length-sorted micro-batches of at most `shard_samples`, for any number of ranks the same.

    Args:
        lengths: (utterances,) samples, as many rows as the index.
        shard_samples: samples of one micro-batch of one rank, padding included.
        max_samples: longer utterances are cropped to this.
        min_samples: shorter ones are left out.
        crop: "pad": a batch is as long as its longest utterance; "shortest": as its shortest.
        hop_samples: batch lengths are multiples of this.
    """

    def __init__(
        self,
        lengths: NDArray[np.integer],
        *,
        shard_samples: int,
        max_samples: int,
        min_samples: int = 1,
        crop: str = "pad",
        hop_samples: int = 1,
        seed: int = 0,
        sampling: Sampling | None = None,
    ) -> None:
        self.shard_samples, self.crop, self.seed, self.sampling = shard_samples, crop, seed, sampling
        self.min_samples = min_samples
        self.lengths = np.minimum(lengths, max_samples).astype(np.int32)
        self.rows = np.flatnonzero(lengths >= min_samples).astype(np.int32)
        mean = float(self.lengths[self.rows].mean()) if len(self.rows) else 1.0
        self.step = max(1, round(mean / LENGTH_STEPS_PER_MEAN / hop_samples)) * hop_samples
        self._plans: dict[int, ShardPlan] = {}

    def plan(self, epoch: int) -> ShardPlan:
        """The micro-batches of one pass over the data; two are kept, since loading is ahead of training."""
        if epoch not in self._plans:
            self._plans = {near: plan for near, plan in self._plans.items() if abs(near - epoch) == 1}
            self._plans[epoch] = self._make_plan(np.random.default_rng((self.seed, epoch)))
        return self._plans[epoch]

    def _make_plan(self, random: np.random.Generator) -> ShardPlan:
        order = random.permutation(self._drawn(random))
        lengths = self.lengths[order]
        mean_shard = max(1.0, self.shard_samples / max(1.0, float(lengths.mean())))
        window = np.arange(len(order), dtype=np.int32) // max(1, int(SHARDS_PER_WINDOW * mean_shard))
        shortest = self.crop == "shortest"
        # Sorting on the grid leaves utterances of about equal length in random order: other company in each epoch.
        order = order[np.lexsort((on_grid(lengths, self.step, shortest=shortest), window))]
        starts, num_samples = cut_shards(
            self.lengths[order], window, self.shard_samples, step=self.step, shortest=shortest
        )
        return ShardPlan(order, starts, num_samples, random.permutation(len(num_samples)))

    def _drawn(self, random: np.random.Generator) -> NDArray[np.int32]:
        """The rows of one pass: all of them, or groups repeated and thinned to their weights."""
        if self.sampling is None or self.sampling.alpha == 1.0:
            return self.rows
        groups = self.sampling.groups[self.rows]
        samples = np.bincount(groups, weights=self.lengths[self.rows])
        group_samples = np.zeros_like(samples)
        present = samples > 0
        group_samples[present] = samples[present] ** self.sampling.alpha
        group_samples *= samples.sum() / group_samples.sum()  # samples of each group in a pass as long as the data
        parts = []
        for group in np.flatnonzero(present):
            members = self.rows[groups == group]
            repeats, rest = divmod(group_samples[group] / samples[group] * len(members), len(members))
            parts += [members] * int(repeats) + [random.permutation(members)[: round(rest)]]
        return np.concatenate(parts)

    def normalized(self, cursor: Cursor) -> Cursor:
        """The same place, with a position inside its epoch."""
        while cursor.position >= len(self.plan(cursor.epoch)):
            cursor = replace(cursor, epoch=cursor.epoch + 1, position=cursor.position - len(self.plan(cursor.epoch)))
        return cursor

    def advanced(self, cursor: Cursor, micro_batches: int) -> Cursor:
        """The cursor after consuming so many micro-batches (of all ranks)."""
        moved = replace(cursor, position=cursor.position + micro_batches, number=cursor.number + micro_batches)
        return self.normalized(moved)

    def stream(self, cursor: Cursor, *, rank: int = 0, world_size: int = 1) -> Iterator[MicroBatch]:
        """The micro-batches of one rank from `cursor` on, without end: every `world_size`-th of the global order."""
        cursor = self.advanced(cursor, rank)
        while True:
            rows, num_samples = self.plan(cursor.epoch).shard(cursor.position)
            yield MicroBatch(rows.astype(np.int64), num_samples, cursor.number, cursor.epoch)
            cursor = self.advanced(cursor, world_size)


def on_grid(lengths: NDArray[np.integer], step: int, *, shortest: bool) -> NDArray[np.integer]:
    """Lengths rounded to multiples of `step`: down (`shortest`), or up, but not beyond the longest of all."""
    if shortest:
        return np.where(lengths < step, lengths, lengths // step * step)  # below one step they keep their length
    up: NDArray[np.integer] = np.minimum(-(-lengths // step) * step, lengths.max(initial=0))
    return up


def cut_shards(
    lengths: NDArray[np.integer], window: NDArray[np.integer], shard_samples: int, *, step: int, shortest: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut utterances, sorted by `on_grid` of their lengths inside each window, into consecutive shards.

    Args:
        lengths: (utterances,) samples.
        window: (utterances,) ascending; shards never cross a window.
        step: batch lengths are multiples of it (the rule that keeps the number of shapes small).
        shortest: a shard's length is its shortest utterance's, rounded down; otherwise its longest's, rounded up.

    Returns:
        ((shards + 1,) bounds, (shards,) batch lengths).
    """
    starts, samples = [0], []
    ends = np.append(np.flatnonzero(np.diff(window)) + 1, len(lengths)).tolist() if len(lengths) else []
    grid = on_grid(lengths, step, shortest=shortest).tolist()
    begin = 0
    for end in ends:
        while begin < end:
            size = max(1, shard_samples // grid[begin])
            stop = min(begin + size, end)
            if not shortest:  # ascending: the last one is the longest
                while stop > begin + 1 and grid[stop - 1] * (stop - begin) > shard_samples:
                    stop -= 1
            samples.append(grid[begin] if shortest else grid[stop - 1])
            starts.append(stop)
            begin = stop
    return np.asarray(starts, dtype=np.int64), np.asarray(samples, dtype=np.int64)


def sequential_shards(lengths: NDArray[np.integer], shard_samples: int) -> list[MicroBatch]:
    """Validation: every utterance whole, sorted by length, in batches that depend on nothing but the data."""
    order = np.argsort(lengths, kind="stable")
    window = np.zeros(len(order), dtype=np.int64)
    starts, samples = cut_shards(lengths[order], window, shard_samples, step=1, shortest=False)
    rows: Sequence[NDArray[np.int64]] = np.split(order, starts[1:-1])
    pairs = enumerate(zip(rows, samples, strict=True))
    return [MicroBatch(batch_rows, int(length), number, 0) for number, (batch_rows, length) in pairs]
