"""Norms of convolved features: over time with statistics of valid frames only, or over channels."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.lengths import valid_frames


class TimeStatistics(NamedTuple):
    """Of a whole utterance, for the parts that it is cut into where it is too long for one forward pass."""

    mean: Tensor  # (1, 1, channels) float32
    variance: Tensor  # (1, 1, channels) float32

    def normalise(self, x: Tensor, *, eps: float) -> Tensor:
        """(batch, frames, channels) of parts of that utterance -> float32, normalised as the whole would be."""
        return (x.float() - self.mean) * torch.rsqrt(self.variance + eps)


def normalise_over_time(x: Tensor, lengths: Tensor | None, *, eps: float, correction: int = 0) -> Tensor:
    """Zero mean and unit variance of every channel of every row over its valid frames.

    Args:
        x: (batch, frames, channels).
        lengths: (batch,) valid frames; None where nothing is padded.
        eps: added to the variance.
        correction: taken from the frames that the squares are divided by: 1 gives the variance of a sample.

    Returns:
        (batch, frames, channels) float32; padded frames are zero.
    """
    centred, variance = _centred_over_time(x, lengths, correction)
    return centred * torch.rsqrt(variance + eps)


def deviation_over_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Standard deviation (biased) of every channel of every row over its valid frames: (batch, channels) float32.

    Args:
        x: (batch, frames, channels).
        lengths: (batch,) valid frames; None where nothing is padded.
    """
    return _centred_over_time(x, lengths)[1].squeeze(1).sqrt()


def _centred_over_time(x: Tensor, lengths: Tensor | None, correction: int = 0) -> tuple[Tensor, Tensor]:
    """The frames minus their mean, padding zero, and their variance (batch, 1, channels), in float32."""
    x = x.float()
    valid = valid_frames(lengths, x.size(1))
    if valid is None:
        # A single frame has the variance zero either way.
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=min(correction, max(x.size(1) - 1, 0)))
        return x - mean, variance
    weight = valid[..., None].float()
    count = weight.sum(1, keepdim=True).clamp(min=1)
    # Centred before it is squared: a mean of squares minus a squared mean cancels where the mean is large.
    centred = (x - (x * weight).sum(1, keepdim=True) / count) * weight
    return centred, centred.square().sum(1, keepdim=True) / (count - correction).clamp(min=1)


class TimeGroupNorm(nn.GroupNorm):
    """GroupNorm with one group per channel whose statistics do not see padding; equal to torch's without padding."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, affine=True)
        self.statistics: TimeStatistics | None = None  # instead of those of the input: it is a part of an utterance

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, channels, frames), (batch,) valid frames or None -> (batch, channels, frames)."""
        if self.statistics is None and valid_frames(lengths, x.size(2)) is None:
            return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        return self.of_frames(x.transpose(1, 2), lengths).transpose(1, 2)

    def of_frames(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The same on (batch, frames, channels)."""
        if self.statistics is not None:
            normalised = self.statistics.normalise(x, eps=self.eps)
        else:
            normalised = normalise_over_time(x, lengths, eps=self.eps)
        return normalised * self.weight + self.bias


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of (batch, channels, frames)."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, channels, frames) -> the same shape; frames do not see each other, so lengths do not matter."""
        return self.of_frames(x.transpose(1, 2), lengths).transpose(1, 2)

    def of_frames(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The same on (batch, frames, channels)."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
