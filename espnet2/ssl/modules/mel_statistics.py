"""Count, mean and deviation of mel frames; parts merge exactly (Chan, Golub and LeVeque, 1983, equation 1.5)."""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STD_FLOOR = 1e-2  # of a logarithm: a bin that varies by less (an empty band) carries rounding noise, not speech


class MelStatisticsJson(TypedDict):
    """The statistics in a JSON file."""

    num_frames: int
    mean: list[float]
    square: list[float]


@dataclass(frozen=True)
class MelStatistics:
    """First and second moments of every mel bin."""

    num_frames: int
    mean: NDArray[np.float64]  # (mels,)
    square: NDArray[np.float64]  # (mels,) sum of the squared deviations from the mean

    @classmethod
    def of(cls, frames: Tensor) -> "MelStatistics":
        """(frames, mels) -> their statistics, in double precision."""
        values = frames.double()
        mean = values.mean(0) if len(values) else values.new_zeros(values.size(1))
        return cls(len(values), mean.numpy(), (values - mean).square().sum(0).numpy())

    def merged(self, other: "MelStatistics") -> "MelStatistics":
        """The statistics of both sets of frames together (Chan, Golub and LeVeque, 1983, equation 1.5)."""
        num_frames = self.num_frames + other.num_frames
        share = other.num_frames / max(num_frames, 1)
        shift = other.mean - self.mean
        square = self.square + other.square + shift**2 * self.num_frames * share
        return MelStatistics(num_frames, self.mean + shift * share, square)

    def scaled(self, factor: float) -> "MelStatistics":
        """As if there were so many times as many frames like these."""
        num_frames = round(self.num_frames * factor)
        return MelStatistics(num_frames, self.mean, self.square * (num_frames / max(self.num_frames, 1)))

    def mean_and_std(self, *, per_bin: bool) -> tuple[Tensor, Tensor]:
        """(mels,) float32 each: of every bin, or the mean and deviation of all values at once, repeated."""
        mean, variance = self.mean, self.square / max(self.num_frames, 1)
        if not per_bin:
            variance = np.full_like(mean, variance.mean() + mean.var())
            mean = np.full_like(mean, mean.mean())
        std = np.sqrt(variance).clip(min=STD_FLOOR)
        return torch.from_numpy(mean).float(), torch.from_numpy(std).float()

    def to_json(self) -> MelStatisticsJson:
        """What `from_json` reads back to the last digit."""
        return {"num_frames": self.num_frames, "mean": self.mean.tolist(), "square": self.square.tolist()}

    @classmethod
    def from_json(cls, value: MelStatisticsJson) -> "MelStatistics":
        return cls(value["num_frames"], np.array(value["mean"]), np.array(value["square"]))
