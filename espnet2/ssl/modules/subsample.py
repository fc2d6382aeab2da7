"""Fewer frames: neighbours stacked, or Conformer's two convolutions (Gulati et al., 2020, section 2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.modules.formulation import compute_dtype, graph_without_convolutions


class StackFrames(nn.Module):
    """`num_frames` neighbours side by side as one frame; what is left over at the end is dropped. No weights."""

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """(kernel, stride) of each window, for `FrameGeometry.extended`."""
        return ((self.num_frames, self.num_frames),) if self.num_frames > 1 else ()

    def output_dim(self, dim: int) -> int:
        """Width of a frame that comes out."""
        return dim * self.num_frames

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames // num_frames, dim * num_frames)."""
        return x if self.num_frames == 1 else neighbour_frames(x, self.num_frames, self.num_frames)


class ConvSubsample(nn.Module):
    """Two convolutions over time and mel bins, 3x3 with stride 2, each with ReLU: a frame every 40 ms.

    The front end of the Conformer (Gulati et al., 2020, section 2). Unpadded: a frame depends on seven mel frames that
    all exist, so that the count is exact and neither padding nor the edge of a batch is ever seen. T mel frames give
    ((T - 3) // 2 + 1 - 3) // 2 + 1, one less than T / 4 for most T.
    """

    layers = ((3, 2), (3, 2))  # (kernel, stride) of each window, for `FrameGeometry.extended`

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Conv2d(1, channels, 3, 2)
        self.second = nn.Conv2d(channels, channels, 3, 2)

    def output_dim(self, dim: int) -> int:
        """Width of a frame that comes out: all channels of all bins that are left."""
        return self.channels * FrameGeometry(self.layers).output_lengths(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, fewer frames, channels * fewer bins)."""
        if graph_without_convolutions(x):
            x = F.relu(window_product(F.relu(window_product(x[..., None], self.first)), self.second))
            return x.transpose(2, 3).flatten(2)
        x = F.relu(self.second(F.relu(self.first(x[:, None]))))  # (batch, channels, frames, bins)
        return x.transpose(1, 2).flatten(2)


def window_product(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """An unpadded `nn.Conv2d` of equal strides as one product of its windows, for graphs without convolutions.

    Args:
        x: (batch, frames, bins, inputs).

    Returns:
        (batch, fewer frames, fewer bins, outputs) in `compute_dtype`.
    """
    dtype = compute_dtype(x)
    (height, width), (stride, _) = conv.kernel_size, conv.stride
    num_frames, num_bins = (x.size(1) - height) // stride + 1, (x.size(2) - width) // stride + 1
    shifted = [
        x[:, row : row + (num_frames - 1) * stride + 1 : stride, column : column + (num_bins - 1) * stride + 1 : stride]
        for row in range(height)
        for column in range(width)
    ]
    windows = torch.cat(shifted, dim=-1).to(dtype)  # (..., height * width * inputs)
    matrix = conv.weight.to(dtype).permute(2, 3, 1, 0).flatten(0, 2)
    product = windows @ matrix
    return product if conv.bias is None else product + conv.bias.to(dtype)


def neighbour_frames(x: Tensor, num_frames: int, stride: int) -> Tensor:
    """Windows of neighbours side by side: (batch, frames, dim) -> (batch, windows, num_frames * dim), in their order.

    Window j holds the frames j * stride to j * stride + num_frames - 1; the last one ends at or before the last frame.
    """
    num_windows = (x.size(1) - num_frames) // stride + 1
    last = (num_windows - 1) * stride + 1
    # No view of the frames: a compiled graph would be another one where a frame is left over.
    return torch.cat([x[:, first : first + last : stride] for first in range(num_frames)], dim=-1)
