"""Two protocols: what the loop asks of a probe and of a judge, whoever they are.

The loop knows these two forms alone, so that what is measured (units, phones, reference curves) can lie above it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from espnet2.ssl.model import SSLModel
from espnet2.train.state import Validation


class Probe(Protocol):
    """Figures of what a model has learned, at each validation, beside the loss."""

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that `figures` gives."""
        ...

    def extractor(self, model: SSLModel) -> Callable[[], Tensor]:
        """What gets the features, (frames, dim) on the host; every rank makes one. May leave the model in evaluation.

        The call makes the forward passes, on all ranks where weights are sharded.
        """
        ...

    def figures(self, features: Tensor) -> dict[str, float]:
        """Name -> value, on the first rank.

        Raises:
            UserError: the features are of no use; the training goes on.
        """
        ...


class Judge(Protocol):
    """Compares the validations with what is expected of such a run."""

    def look(self, validations: Sequence[Validation], initial: Mapping[str, float]) -> tuple[str, str]:
        """A line about the last validation and its light (green, yellow, red); both "" where nothing is known."""
        ...
