"""The endless stream of micro-batches: their order is a function of (seed, epoch) alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from espnet2.data.cut import CutRule, cut_shards, sorted_in_windows
from espnet2.data.even import evened
from espnet2.data.mixture import Sampling
from espnet2.data.shard_buffer import ShardBuffer

LENGTH_STEPS_PER_MEAN = (
    40  # batch lengths lie on a grid of mean / 40: rounding up costs about 1.3 %, and few shapes arise
)
AHEAD_FROM_UTTERANCES = 200_000  # below it a plan takes a tenth of a second: no thread is worth it
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
    sequence: NDArray[np.int64]  # (used shards,) the order in which they are used

    def __len__(self) -> int:
        return len(self.sequence)

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


class Sampler:
    """Length-sorted micro-batches of at most `shard_samples`, for any number of ranks the same.

    Args:
        lengths: (utterances,) samples, as many rows as the index.
        shard_samples: samples of one micro-batch of one rank, padding included.
        max_samples: longer utterances are cropped to this.
        min_samples: shorter ones are left out.
        crop: "pad": a batch is as long as its longest utterance; "shortest": as its shortest.
        hop_samples: batch lengths are multiples of this.
        quadratic_samples: an utterance of this length counts twice, see `CutRule`.
        buffer: read in the order of the storage; None: in random order.
        even_group: so many micro-batches, those of an update, cost about the same; None: they are random ones.
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
        quadratic_samples: int | None = None,
        buffer: ShardBuffer | None = None,
        even_group: int | None = None,
    ) -> None:
        self.seed, self.sampling, self.buffer, self.even_group = seed, sampling, buffer, even_group
        self.min_samples = min_samples
        self.lengths = np.minimum(lengths, max_samples).astype(np.int32)
        self.rows = np.flatnonzero(lengths >= min_samples).astype(np.int32)
        mean = float(self.lengths[self.rows].mean()) if len(self.rows) else 1.0
        step = max(1, round(mean / LENGTH_STEPS_PER_MEAN / hop_samples)) * hop_samples
        self.rule = CutRule(shard_samples, step, crop == "shortest", quadratic_samples)
        self._plans: dict[int, ShardPlan] = {}
        self._ahead: tuple[int, Future[ShardPlan]] | None = None  # the epoch that a thread plans

    def plan(self, epoch: int) -> ShardPlan:
        """The micro-batches of one pass over the data; two are kept, since loading is ahead of training."""
        if epoch not in self._plans:
            self._plans = {near: plan for near, plan in self._plans.items() if abs(near - epoch) == 1}
            is_ahead = self._ahead is not None and self._ahead[0] == epoch
            self._plans[epoch] = self._ahead[1].result() if self._ahead and is_ahead else self._make_plan(epoch)
            self._ahead = None
        return self._plans[epoch]

    def _plan_ahead(self, epoch: int) -> None:
        """Begin the plan of a pass in a thread: sorting lets others run, so no update waits at the end of a pass."""
        if len(self.rows) < AHEAD_FROM_UTTERANCES or epoch in self._plans or self._ahead is not None:
            return
        executor = ThreadPoolExecutor(1, "plan of the next pass")
        self._ahead = (epoch, executor.submit(self._make_plan, epoch))
        executor.shutdown(wait=False)

    def _make_plan(self, epoch: int) -> ShardPlan:
        random = np.random.default_rng((self.seed, epoch))
        drawn = self.rows if self.sampling is None else self.sampling.draw(self.rows, self.lengths, epoch, random)
        if self.buffer is None:
            order = random.permutation(drawn)
            window_size = max(1, int(SHARDS_PER_WINDOW * self.mean_shard(order)))
        else:
            order, window_size = self.buffer.order(drawn, random), self.buffer.num_utterances
        order = sorted_in_windows(order, self.lengths, window_size, self.rule)
        starts, num_samples = cut_shards(self.lengths[order], window_size, self.rule)
        sequence = random.permutation(len(num_samples))
        if self.buffer is not None:  # window after window, each in random order
            sequence = sequence[np.argsort(starts[sequence] // window_size, kind="stable")]
        if self.even_group is not None:
            costs = np.diff(starts) * self.rule.cost(num_samples)
            sequence = evened(sequence, costs, self.even_group, random)
        return ShardPlan(order, starts, num_samples, sequence)

    def mean_shard(self, rows: NDArray[np.integer] | None = None) -> float:
        """Utterances of a micro-batch, were all of the mean length of these rows (default: all)."""
        lengths = self.lengths[self.rows if rows is None else rows]
        mean = max(1.0, float(lengths.mean())) if len(lengths) else 1.0
        return max(1.0, self.rule.shard_samples / self.rule.cost(mean))

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
            plan = self.plan(cursor.epoch)
            if 2 * cursor.position >= len(plan):
                self._plan_ahead(cursor.epoch + 1)
            rows, num_samples = plan.shard(cursor.position)
            yield MicroBatch(rows.astype(np.int64), num_samples, cursor.number, cursor.epoch)
            cursor = self.advanced(cursor, world_size)


def sequential_shards(lengths: NDArray[np.integer], shard_samples: int) -> list[MicroBatch]:
    """Validation: every utterance whole, sorted by length, in batches that depend on nothing but the data."""
    order = np.argsort(lengths, kind="stable")
    rule = CutRule(shard_samples, step=1, shortest=False)
    starts, samples = cut_shards(lengths[order], max(1, len(order)), rule)
    rows: Sequence[NDArray[np.int64]] = np.split(order, starts[1:-1])
    pairs = enumerate(zip(rows, samples, strict=True))
    return [MicroBatch(batch_rows, int(length), number, 0) for number, (batch_rows, length) in pairs]
