"""Depthwise convolutions: Conformer's module (section 2.1), cgMLP's gate, E-Branchformer's merge (section 3.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.formulation import compute_dtype, graph_without_convolutions
from espnet2.ssl.modules.frame_norm import NormKind, frame_norm
from espnet2.ssl.modules.lengths import zero_padding


class DepthwiseConv(nn.Conv1d):
    """One kernel of odd length per channel; padding counts as zero.

    Args:
        causal: the kernel ends at the frame, instead of having it in its middle.
    """

    def __init__(self, dim: int, kernel: int, *, bias: bool = True, causal: bool = False) -> None:
        super().__init__(dim, dim, kernel, padding=0 if causal else kernel // 2, groups=dim, bias=bias)
        self.before = kernel - 1 if causal else 0

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool or None -> (batch, frames, dim)."""
        x = zero_padding(x, valid)
        if graph_without_convolutions(x):
            left = self.before or int(self.padding[0])
            summed = shifted_sum(x, self.weight, left)
            return summed if self.bias is None else summed + self.bias.to(summed.dtype)
        frames = x.transpose(1, 2)
        if self.before:
            frames = F.pad(frames, (self.before, 0))
        return super().forward(frames).transpose(1, 2)


def shifted_sum(x: Tensor, weight: Tensor, left: int) -> Tensor:
    """A depthwise `F.conv1d` of stride 1 as a sum of shifted frames, which a compiler computes in one kernel.

    Args:
        x: (batch, frames, channels).
        weight: (channels, 1, kernel).
        left: zeros before the first frame; after the last one there are `kernel - 1 - left`.

    Returns:
        (batch, frames, channels) in `compute_dtype`; added up in float32, or in the type of x where that is wider.
    """
    kernel, num_frames, dtype = weight.size(2), x.size(1), compute_dtype(x)
    wide = torch.promote_types(dtype, torch.float32)
    padded = F.pad(x.to(dtype), (0, 0, left, kernel - 1 - left))
    taps = weight[:, 0].to(dtype).to(wide)
    total = padded[:, :num_frames].to(wide) * taps[:, 0]
    for tap in range(1, kernel):
        total = total + padded[:, tap : tap + num_frames].to(wide) * taps[:, tap]
    return total.to(dtype)


class ConvModule(nn.Module):
    """The convolution of a conformer block (Gulati et al., 2020, section 2.1), before its residual."""

    def __init__(
        self,
        dim: int,
        kernel: int,
        norm: NormKind,
        *,
        bias: bool,
        dropout: float,
        causal: bool = False,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.gated = nn.Linear(dim, 2 * dim, bias=bias)
        self.depthwise = DepthwiseConv(dim, kernel, bias=bias, causal=causal)
        self.norm = frame_norm(norm, dim)
        self.output = nn.Linear(dim, dim, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool or None -> (batch, frames, dim)."""
        x = self.depthwise(F.glu(self.gated(self.input_norm(x))), valid)
        branch: Tensor = self.dropout(self.output(F.silu(self.norm(x, valid))))
        return branch


class GatedMLP(nn.Module):
    """One half of the channels, convolved, gates the other (cgMLP: Sakuma et al., 2022), before its residual.

    Args:
        inner_dim: channels of both halves together.
    """

    def __init__(self, dim: int, inner_dim: int, kernel: int, *, dropout: float, norm_eps: float = 1e-5) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.inner = nn.Linear(dim, inner_dim)
        self.gate_norm = nn.LayerNorm(inner_dim // 2, eps=norm_eps)
        self.gate = DepthwiseConv(inner_dim // 2, kernel)
        self.output = nn.Linear(inner_dim // 2, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.gate.weight, std=1e-6)  # the gate is open at the start, as in gMLP (Liu et al., 2021)
        if self.gate.bias is not None:
            nn.init.ones_(self.gate.bias)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool or None -> (batch, frames, dim)."""
        content, gate = F.gelu(self.inner(self.input_norm(x))).chunk(2, dim=-1)
        gate = self.gate(self.gate_norm(gate), valid)
        branch: Tensor = self.dropout(self.output(self.dropout(content * gate)))
        return branch


class Merge(nn.Module):
    """Two branches become one, each channel looking at its neighbourhood (Kim et al., 2022, section 3.1)."""

    def __init__(self, dim: int, kernel: int, *, dropout: float) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv(2 * dim, kernel)
        self.output = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, one: Tensor, other: Tensor, valid: Tensor | None) -> Tensor:
        """(batch, frames, dim) twice, (batch, frames) bool or None -> (batch, frames, dim)."""
        both = torch.cat([one, other], dim=-1)
        merged: Tensor = self.dropout(self.output(both + self.depthwise(both, valid)))
        return merged
