"""ALiBi, an attention bias by the distance between frames (Press et al., 2022, arXiv 2108.12409, section 3)."""

import math

import torch
from torch import Tensor, nn

from espnet2.ssl.modules.bias_rows import with_prefixes
from espnet2.ssl.modules.formulation import compute_dtype


def alibi_slopes(num_heads: int) -> Tensor:
    """One slope per head: 2^(-8k/n), k = 1..n (Press et al., 2022, arXiv 2108.12409, section 3).

    Where n is no power of two, the slopes of the power below it come first, then every other one of the power above.

    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """

    def of_power(count: int) -> list[float]:
        return [2.0 ** (-8.0 * number / count) for number in range(1, count + 1)]

    below = 2 ** math.floor(math.log2(num_heads))
    return torch.tensor(of_power(below) + of_power(2 * below)[0::2][: num_heads - below])


class Alibi(nn.Module):
    """-slope * |distance| for each head, the same in both directions.

    Args:
        learned_scale: a factor per head, not below zero, that starts at 1 (data2vec 2.0).
    """

    slopes: Tensor  # (heads,)

    def __init__(self, num_heads: int, *, learned_scale: bool) -> None:
        super().__init__()
        slopes = alibi_slopes(num_heads)
        self.register_buffer("slopes", slopes, persistent=False)
        self.scale = nn.Parameter(torch.ones(num_heads)) if learned_scale else None

    def forward(self, offsets: Tensor, num_frames: int, num_prefixes: int) -> Tensor:
        """Bias of the logits.

        Args:
            offsets: (1 or batch, kept, kept) of `frame_offsets`.
            num_frames: of the whole utterance.
            num_prefixes: frames without a place in time before the others: no bias to and from them.

        Returns:
            (1 or batch, heads, prefixes + kept, prefixes + kept).
        """
        bias = -self.slope()[:, None, None] * offsets.abs()[:, None]
        return with_prefixes(bias, num_prefixes, compute_dtype(bias))

    def slope(self) -> Tensor:
        """(heads,)"""
        # Below zero, a factor would favour the frames that are far away.
        return self.slopes if self.scale is None else self.slopes * self.scale.clamp(min=0)
