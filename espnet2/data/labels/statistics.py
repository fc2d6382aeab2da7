"""Label sequences in, how they are spread over the classes out: used classes, perplexity, top share, run length."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from espnet2.data.labels.joined import JoinedLabels

BUFFER_LABELS = 1 << 20  # labels counted at a time


@dataclass(frozen=True)
class LabelStatistics:
    """What tells healthy labels from broken ones, without a transcript."""

    num_utterances: int  # with at least one label
    num_labels: int
    num_classes: int  # K
    num_used_classes: int
    entropy_nats: float  # of the class frequencies: the loss of a model that knows nothing but these
    top_class: int
    top_share: float  # of all labels, in 0..1: the accuracy of always guessing the top class
    mean_run_labels: float  # consecutive equal labels within an utterance

    @property
    def perplexity(self) -> float:
        """exp(entropy): as many equally frequent classes would be as hard to guess."""
        return math.exp(self.entropy_nats)

    def describe(self, label_rate: float) -> str:
        """One line for the log; `label_rate` in labels per second turns runs into milliseconds."""
        return (
            f"{self.num_labels:,} labels of {self.num_utterances:,} utterances: "
            f"{self.num_used_classes} of {self.num_classes} classes used, perplexity {self.perplexity:.1f} "
            f"(entropy {self.entropy_nats:.2f} nats), top class {self.top_class} has {100 * self.top_share:.1f} %, "
            f"mean run {self.mean_run_labels:.2f} labels ({1000 * self.mean_run_labels / label_rate:.0f} ms)"
        )


def label_statistics(utterances: Iterable[np.ndarray], num_classes: int) -> LabelStatistics:
    """Count once through the labels.

    Args:
        utterances: (labels,) integers in 0..num_classes-1 of each; empty ones are passed over.

    >>> label_statistics([np.array([1, 1, 0]), np.array([0, 0])], num_classes=3).mean_run_labels
    1.6666666666666667
    """
    histogram = np.zeros(num_classes, dtype=np.int64)
    num_utterances = num_runs = 0
    for block in _blocks(utterances):
        flat = np.concatenate(block)
        run_starts = np.empty(len(flat), dtype=bool)
        np.not_equal(flat[1:], flat[:-1], out=run_starts[1:])
        ends = np.cumsum([len(labels) for labels in block])
        run_starts[0] = True
        run_starts[ends[:-1]] = True  # an utterance starts a run of its own
        histogram += np.bincount(flat, minlength=num_classes)
        num_runs += int(np.count_nonzero(run_starts))
        num_utterances += len(block)
    total = int(histogram.sum())
    shares = histogram[histogram > 0] / max(total, 1)
    return LabelStatistics(
        num_utterances=num_utterances,
        num_labels=total,
        num_classes=num_classes,
        num_used_classes=len(shares),
        entropy_nats=abs(float(-(shares * np.log(shares)).sum())),  # abs: -0.0 for one class
        top_class=int(histogram.argmax()),
        top_share=float(histogram.max() / max(total, 1)),
        mean_run_labels=total / max(num_runs, 1),
    )


def joined_statistics(labels: "JoinedLabels") -> LabelStatistics:
    """How the labels of all sets are spread over the classes; of several codebooks the first."""
    utterances = (part.first_labels(row) for part in labels.parts for row in range(len(part)))
    return label_statistics(utterances, labels.num_classes)


def _blocks(utterances: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    block: list[np.ndarray] = []
    size = 0
    for labels in utterances:
        if len(labels):
            block.append(labels)
            size += len(labels)
        if size >= BUFFER_LABELS:
            yield block
            block, size = [], 0
    if block:
        yield block
