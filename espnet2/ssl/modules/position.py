"""Frames in, their positions as a learned function of the neighbourhood out."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvPosition(nn.Module):
    """Grouped convolution and GELU, to be added to its input (wav2vec 2.0, section 2).

    Args:
        weight_norm: one learned length for the weights of each kernel position, as fairseq. At learning rates of a
            small model these lengths grow fast, and the neighbours drown the frame itself.
    """

    def __init__(self, dim: int, kernel: int, groups: int, *, weight_norm: bool = True) -> None:
        super().__init__()
        self.num_frames_dropped = 1 - kernel % 2  # an even kernel gives one frame too many
        conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(conv.weight, std=math.sqrt(4 / (kernel * dim)))  # fairseq's make_conv_pos
        nn.init.zeros_(conv.bias)
        self.conv = nn.utils.parametrizations.weight_norm(conv, dim=2) if weight_norm else conv

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim), padding zero -> (batch, frames, dim)."""
        x = self.conv(x.transpose(1, 2))
        if self.num_frames_dropped:
            x = x[..., : -self.num_frames_dropped]
        return F.gelu(x).transpose(1, 2)


def gather_frames(x: Tensor, indices: Tensor) -> Tensor:
    """Frames at `indices`: (batch, frames, dim), (batch, kept) with negative = padding -> (batch, kept, dim)."""
    return torch.take_along_dim(x, indices.clamp(min=0)[..., None], dim=1)
