"""The only frame arithmetic of the toolkit: frame counts and rates that follow from kernels and strides."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # tables and label files need the arithmetic, not the two seconds that torch takes to load
    import numpy as np
    import torch
    from numpy.typing import NDArray

Count = TypeVar("Count", int, "torch.Tensor", "NDArray[np.integer]")


@dataclass(frozen=True)
class FrameGeometry:
    """A chain of unpadded windows (convolutions, or an STFT and its stacking) over the waveform; no weights."""

    layers: tuple[tuple[int, int], ...]  # (kernel, stride) of each, the first in samples
    sample_rate: int = 16000  # Hz

    def output_lengths(self, num_samples: Count) -> Count:
        """Frames that come out of so many samples; 0 for an input shorter than the receptive field.

        >>> FrameGeometry(((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))).output_lengths(16000)
        49
        """
        lengths = num_samples
        for kernel, stride in self.layers:
            lengths = (lengths - kernel) // stride + 1
        if isinstance(lengths, int):
            return max(lengths, 0)
        return lengths.clip(min=0)

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        hop = 1
        for _, stride in self.layers:
            hop *= stride
        return hop

    @property
    def receptive_field_samples(self) -> int:
        """Samples that one frame sees: the shortest input that gives a frame."""
        samples, hop = 1, 1
        for kernel, stride in self.layers:
            samples += (kernel - 1) * hop
            hop *= stride
        return samples

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_samples

    def num_samples(self, num_frames: int) -> int:
        """The smallest number of samples that gives so many frames."""
        return (num_frames - 1) * self.hop_samples + self.receptive_field_samples

    def extended(self, *layers: tuple[int, int]) -> "FrameGeometry":
        """The geometry with more (kernel, stride) layers on top: a subsampler."""
        return FrameGeometry((*self.layers, *layers), self.sample_rate)
