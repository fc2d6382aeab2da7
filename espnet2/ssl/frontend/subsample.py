"""Frames in, fewer frames out; publishes its windows for the frame geometry."""

from torch import Tensor, nn


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
        batch, frames, dim = x.shape
        kept = frames // self.num_frames
        return x[:, : kept * self.num_frames].reshape(batch, kept, dim * self.num_frames)
