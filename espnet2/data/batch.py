"""The one type that travels from the data loader to the objective."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from espnet2.data.labels.packed import NO_LABEL

__all__ = ["NO_LABEL", "Batch", "Draws"]

Draws = Mapping[str, Tensor]  # everything random of one loss entry, for one micro-batch


@dataclass(frozen=True)
class Batch:
    """One micro-batch of one rank."""

    wavs: Tensor  # (batch, samples) float32, zero-padded
    wav_lengths: Tensor  # (batch,) int64, samples
    labels: Tensor | None  # (batch, frames) int64 at the final frame rate of the frontend; NO_LABEL where there is
    # none. Of several codebooks, or of soft labels, (batch, frames, width).
    utt_ids: tuple[str, ...]
    draws: Mapping[str, Draws]  # name of the loss entry -> its draws
    is_padded: bool | None = None  # whether any row is shorter than `wavs`: found on the host, kept by `to`
    mixed: Tensor | None = None  # (batch,) bool: another voice or a noise lies over it; None where nothing is mixed in
    named_labels: Mapping[str, Tensor] = field(default_factory=dict)  # as `labels`, where the config names label sets
    label_weights: Mapping[str, Tensor] = field(default_factory=dict)  # of soft label sets, by name, "" for the one
    # without: (batch, frames, width) float32, which add up to 1; 0 where there is no label

    def __post_init__(self) -> None:
        if self.is_padded is None:
            object.__setattr__(self, "is_padded", bool((self.wav_lengths < self.wavs.size(1)).any()))

    @property
    def padded_lengths(self) -> Tensor | None:
        """`wav_lengths`, or None where no row is padded: models take their fast path then."""
        return self.wav_lengths if self.is_padded else None

    def labels_of(self, name: str) -> Tensor:
        """(batch, frames) or (batch, frames, width) int64: the label set of a name, or for "" the one without."""
        labels = self.named_labels.get(name) if name else self.labels
        if labels is None:
            raise TypeError(f"a batch without labels {name}; the loader gives them where the config names them")
        return labels

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with `function` applied to every tensor."""
        draws = {
            entry: {key: function(value) for key, value in tensors.items()} for entry, tensors in self.draws.items()
        }
        return replace(
            self,
            wavs=function(self.wavs),
            wav_lengths=function(self.wav_lengths),
            labels=None if self.labels is None else function(self.labels),
            draws=draws,
            named_labels={name: function(labels) for name, labels in self.named_labels.items()},
            label_weights={name: function(weights) for name, weights in self.label_weights.items()},
            mixed=None if self.mixed is None else function(self.mixed),
        )

    def to(self, device: torch.device | str) -> "Batch":
        """Copy to a device; asynchronous from pinned memory."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Page-locked copy; the name is the hook that torch's DataLoader looks for."""
        return self.map(torch.Tensor.pin_memory)


class Draw(ABC):
    """Everything random of one objective, made in the loader. Picklable, pure, without weights."""

    @abstractmethod
    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        """Draw for one micro-batch, from `generator` only.

        Args:
            wav_lengths: (batch,) samples after the crop.

        Returns:
            Tensors of known shape; (batch, frames) ones are padded with "nothing happens".
        """

    def min_samples(self) -> int:
        """Samples an utterance needs for the draw to make sense; shorter ones are refused before training."""
        return 1


class NoDraw(Draw):
    """Of an objective in which nothing is random."""

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        """Nothing."""
        return {}
