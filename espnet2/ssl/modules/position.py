"""Convolutional positions: one wide kernel (wav2vec 2.0, section 2) or a stack (data2vec 2.0, DinoSR)."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.lengths import zero_padding
from espnet2.ssl.modules.products import convolve_frames


class ConvPosition(nn.Module):
    """Grouped convolution and GELU, to be added to its input (wav2vec 2.0, section 2).

    Args:
        weight_norm: one learned length for the weights of each kernel position, as fairseq. At learning rates of a
            small model these lengths grow fast, and the neighbours drown the frame itself.
    """

    def __init__(self, dim: int, kernel: int, groups: int, *, weight_norm: bool = True) -> None:
        super().__init__()
        conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(conv.weight, std=math.sqrt(4 / (kernel * dim)))  # fairseq's make_conv_pos
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        self.conv = nn.utils.parametrizations.weight_norm(conv, dim=2) if weight_norm else conv

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """(batch, frames, dim), padding zero -> (batch, frames, dim); `valid` is not needed then."""
        return F.gelu(convolve_frames(cast(nn.Conv1d, self.conv), x))


class ConvPositionStack(nn.Module):
    """Small grouped convolutions on top of each other, to be added to their input (data2vec 2.0; DinoSR).

    Each is followed by a LayerNorm over channels without weights and by GELU.
    """

    def __init__(self, dim: int, kernel: int, groups: int, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups) for _ in range(depth)
        )

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool or None where nothing is padded -> (batch, frames, dim)."""
        for conv in self.convs:
            x = convolve_frames(cast(nn.Conv1d, conv), zero_padding(x, valid))
            x = F.gelu(F.layer_norm(x, (x.size(2),)))
        return x


def gather_frames(x: Tensor, indices: Tensor) -> Tensor:
    """Frames at `indices`: (batch, frames, dim), (batch, kept) with negative = padding -> (batch, kept, dim)."""
    return x.gather(1, indices.clamp(min=0)[..., None].expand(-1, -1, x.size(2)))


def frame_offsets(num_frames: int, keep: Tensor | None, device: torch.device) -> Tensor:
    """How many frames the key lies after the query, in the whole utterance.

    Args:
        num_frames: of the whole utterance.
        keep: (batch, kept) indices of the frames that are left; None keeps all.

    Returns:
        (batch, kept, kept) int64, or (1, num_frames, num_frames) where all frames are left.
    """
    index = torch.arange(num_frames, device=device)[None] if keep is None else keep.clamp(min=0)
    return index[:, None, :] - index[:, :, None]
