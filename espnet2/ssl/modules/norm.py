"""Frames in, frames normalised over time out, with statistics of valid frames only."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.lengths import valid_frames


def normalise_over_time(x: Tensor, lengths: Tensor | None, *, eps: float) -> Tensor:
    """Zero mean and unit variance of every channel of every row over its valid frames.

    Args:
        x: (batch, frames, channels).
        lengths: (batch,) valid frames; None where nothing is padded.
        eps: added to the (biased) variance.

    Returns:
        (batch, frames, channels) float32; padded frames are zero.
    """
    x = x.float()
    valid = valid_frames(lengths, x.size(1))
    if valid is None:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        return (x - mean) * torch.rsqrt(variance + eps)
    weight = valid[..., None].float()
    count = weight.sum(1, keepdim=True).clamp(min=1)
    centred = (x - (x * weight).sum(1, keepdim=True) / count) * weight
    variance = centred.square().sum(1, keepdim=True) / count
    return centred * torch.rsqrt(variance + eps)


class TimeGroupNorm(nn.GroupNorm):
    """GroupNorm with one group per channel whose statistics do not see padding; equal to torch's without padding."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, affine=True)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, frames), (batch,) valid frames or None -> (batch, channels, frames)."""
        if valid_frames(lengths, x.size(2)) is None:
            return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        normalised = normalise_over_time(x.transpose(1, 2), lengths, eps=self.eps)
        return (normalised * self.weight + self.bias).transpose(1, 2)


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of (batch, channels, frames)."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, channels, frames) -> the same shape; frames do not see each other, so lengths do not matter."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)
