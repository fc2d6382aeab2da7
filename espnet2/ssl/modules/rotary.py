"""Rotary positions of Wav2Vec2-Conformer: the attention's input is turned before queries and keys are made of it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BASE = 10000.0  # of the frequencies: Su et al., 2021, arXiv 2104.09864, section 3.3


def rotary_frequencies(head_dim: int) -> Tensor:
    """(head_dim / 2,) radians per frame, from one on down."""
    return 1.0 / BASE ** (torch.arange(0, head_dim, 2).float() / head_dim)


class Rotation(NamedTuple):
    """What all layers share."""

    cosines: Tensor  # (prefixes + frames, dim / heads)
    sines: Tensor

    def turn(self, x: Tensor, num_heads: int) -> Tensor:
        """(batch, prefixes + frames, dim), each head's part turned by the frame's time; pairs are half a head apart."""
        heads = torch.unflatten(x, -1, (num_heads, -1))
        first, second = heads.chunk(2, dim=-1)
        across = torch.cat([-second, first], dim=-1)
        return (heads * self.cosines[:, None] + across * self.sines[:, None]).flatten(2)


class RotaryInput(nn.Module):
    """The angles of every frame (Su et al., 2021), for fairseq's order: turned first, projected then.

    RoFormer turns queries and keys themselves, whose products then depend on offsets alone; here they do not, as in the
    models that fairseq released and transformers reads.
    """

    frequencies: Tensor  # (dim / heads / 2,) radians per frame

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", rotary_frequencies(head_dim), persistent=False)

    def forward(self, offsets: Tensor, num_frames: int, num_prefixes: int) -> Rotation:
        """Arguments as `Alibi.forward`, of which the frames count alone; prefixes are not turned."""
        frames = torch.arange(num_frames, device=offsets.device)
        angles = (frames[:, None] * self.frequencies).repeat(1, 2)
        before = (0, 0, num_prefixes, 0)
        return Rotation(F.pad(angles.cos(), before, value=1.0), F.pad(angles.sin(), before))
