"""The order for slow disks: what lies together is read together, and mixed in a buffer of a stated size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espnet2.data.containers import Blocks


@dataclass(frozen=True)
class ShardBuffer:
    """Blocks of the storage in random order; the next `num_utterances` of them are mixed, then the next.

    The buffer holds descriptions, no audio: a pass is a function of (seed, epoch) as in any other order, and a resumed
    run begins in the middle of a buffer at once.
    """

    blocks: Blocks
    num_utterances: int

    def describe(self, mean_seconds: float) -> str:
        """One line for the log.

        Args:
            mean_seconds: of an utterance.
        """
        hours = self.num_utterances * mean_seconds / 3600
        return (
            f"{len(self.blocks):,} blocks of at most {int(np.diff(self.blocks.starts).max(initial=0)):,} utterances "
            f"that lie together, mixed in a buffer of {self.num_utterances:,} utterances ({hours:.2f} h)"
        )

    def order(self, drawn: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.int32]:
        """The rows of a pass in windows of `num_utterances`, each in random order.

        Args:
            drawn: (utterances of the pass,) rows in any order. One that is drawn n times is in n visits of its block.
        """
        rows, starts = self._visits(drawn)
        visits = random.permutation(len(starts) - 1)
        sizes = np.diff(starts)[visits]
        shift = np.repeat(starts[visits] - (np.cumsum(sizes) - sizes), sizes)
        order = rows[shift + np.arange(len(rows))]
        whole = len(order) // self.num_utterances * self.num_utterances
        order[:whole] = random.permuted(order[:whole].reshape(-1, self.num_utterances), axis=1).ravel()
        order[whole:] = random.permutation(order[whole:])
        return order

    def _visits(self, drawn: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """((utterances of the pass,) rows, (visits + 1,) bounds): first of all blocks, then of what is drawn twice."""
        counts = np.bincount(drawn, minlength=len(self.blocks.rows)).astype(np.int32)
        block_of = np.repeat(np.arange(len(self.blocks)), np.diff(self.blocks.starts))
        parts, starts, length, copies = [], [], 0, 0
        selected = np.flatnonzero(counts[self.blocks.rows] > 0)
        while len(selected):
            rows, blocks = self.blocks.rows[selected], block_of[selected]
            parts.append(rows)
            starts.append(length + np.append(0, np.flatnonzero(np.diff(blocks)) + 1))
            length, copies = length + len(rows), copies + 1
            selected = selected[counts[rows] > copies]
        return np.concatenate(parts), np.append(np.concatenate(starts), length)
