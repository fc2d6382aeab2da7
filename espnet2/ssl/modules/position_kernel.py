"""Positions of a batch in; attention with their biases made inside a kernel, where a device has it, out."""

from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.kernels.attention import BEYOND_THE_END, attend, draw_seed
from espnet2.ssl.modules.alibi import Alibi
from espnet2.ssl.modules.gated_relative import BucketTable
from espnet2.utils.errors import UserError

HAS_TRITON = find_spec("triton") is not None


class KernelPosition(NamedTuple):
    """What stands for a bias: all that the kernel makes it of. One of `slopes` and `row` is there."""

    slopes: Tensor | None  # (heads,) ALiBi's
    row: Tensor | None  # (heads, 2 * n + 1), for each offset of a key from its query; each layer gates it
    positions: Tensor | None  # (batch, prefixes + kept) int32; None: all frames, one after the other
    valid: Tensor | None  # (batch, prefixes + frames) bool
    num_prefixes: int


def runs_kernel(device: torch.device) -> bool:
    """Whether `attention_kernel: triton` is meant for that device; on others all is as with sdpa.

    Raises:
        UserError: it is, but Triton is not installed.
    """
    if device.type != "cuda":
        return False
    if not HAS_TRITON:
        raise UserError(
            "encoder_conf: attention_kernel is triton, but the package triton is not installed; it comes with "
            "PyTorch's builds for CUDA on Linux. Set attention_kernel to sdpa, or install it"
        )
    return True


def kernel_position(
    shared: nn.Module, valid: Tensor | None, num_frames: int, keep: Tensor | None, num_prefixes: int
) -> KernelPosition:
    """What takes the place of a bias, once for all layers; arguments of `BlockStack`.

    Args:
        shared: an `Alibi`, or a `BucketTable` (then `keep` is None: its gradient is summed over equal offsets).
    """
    if isinstance(shared, BucketTable):
        row = shared.row(num_prefixes + num_frames + BEYOND_THE_END).contiguous()
        return KernelPosition(None, row, None, valid, num_prefixes)
    assert isinstance(shared, Alibi)
    positions = None if keep is None else F.pad(keep.clamp(min=0).int(), (num_prefixes, 0))
    return KernelPosition(shared.slope(), None, positions, valid, num_prefixes)


def attend_in_kernel(
    query: Tensor, key: Tensor, value: Tensor, position: KernelPosition, gate: Tensor | None, dropout: float
) -> Tensor:
    """The values that each query asks for.

    Args:
        query, key, value: (batch, heads, frames, dim / heads).
        gate: (batch, heads, frames, 1), what each query multiplies the row with; None for ALiBi.
        dropout: of the attention weights.

    Returns:
        The shape of `query`.
    """
    if position.slopes is not None:
        weight = position.slopes[:, None].expand(query.shape[:3])
    else:
        assert gate is not None
        weight = gate.squeeze(-1)
    row = None if position.row is None else position.row.float()
    seed = draw_seed(query.device) if dropout > 0 else None
    inputs = (position.positions, position.valid, seed, position.num_prefixes, dropout)
    output: Tensor = attend(query, key, value, weight.float(), row, *inputs)[0]
    return output
