"""Tensors in; the Triton kernels of attention started with strides and block sizes that fit them."""

from math import sqrt
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from espnet2.ssl.kernels.attention import BiasTensors
from espnet2.ssl.kernels.backward import key_gradient_kernel, query_gradient_kernel, sum_diagonals_kernel
from espnet2.ssl.kernels.forward import attend_kernel
from espnet2.ssl.kernels.tiles import Bias, Frames

DRAWS = 65536  # values that dropout draws for each attention weight
PROGRAMS_AT_ONCE, OFFSETS_AT_ONCE = 16, 64  # of `sum_diagonals_kernel`


class Tiling(NamedTuple):
    """How many frames a program and a step of its loop have, and what they are compiled for."""

    block_q: int
    block_k: int
    num_warps: int
    num_stages: int


def tiling(dtype: torch.dtype, padded_dim: int) -> Tiling:
    """Of all three kernels of attention: what spills next to nothing and fits into the shared memory of every GPU.

    `test/helpers/compiled_kernels.py` shows what becomes of others. Products in float32 are none of tensor cores'.
    """
    if dtype == torch.float32:
        return Tiling(32, 32, 8 if padded_dim > 64 else 4, 1)
    return Tiling(64, 64, 4, 2)


def attend_forward(
    query: Tensor, key: Tensor, value: Tensor, tensors: BiasTensors, output: Tensor, log_sums: Tensor
) -> None:
    """Fill `output` and `log_sums` of `espnet2.ssl.kernels.attention.attend`."""
    query, key, value = _same_strides(query, key, value)
    padded_dim = _padded_dim(query)
    tiles = tiling(query.dtype, padded_dim)
    attend_kernel[_grid(query, tiles.block_q)](
        *(query, key, value, output, log_sums),
        *_arguments(query, tensors),
        head_dim=query.size(3),
        padded_dim=padded_dim,
        **tiles._asdict(),
    )


def attend_gradients(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tensors: BiasTensors,
    output: Tensor,
    log_sums: Tensor,
    gradient: Tensor,
    gradients: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
) -> None:
    """Fill `gradients` of `espnet2.ssl.kernels.attention.attend_backward`."""
    query, key, value = _same_strides(query, key, value)
    gradient = gradient.transpose(1, 2).contiguous().transpose(1, 2)
    of_query, of_key, of_value, of_weight, of_row = gradients
    padded_dim, deltas = _padded_dim(query), torch.empty_like(log_sums)
    dims = {"head_dim": query.size(3), "padded_dim": padded_dim}
    shared = _arguments(query, tensors)
    tiles = tiling(query.dtype, padded_dim)
    grid, block = _grid(query, tiles.block_q), tiles.block_q  # blocks of queries and of keys are equal
    num_programs, num_rows, num_heads = grid[0], query.size(0), query.size(1)
    diagonals = None
    if of_row.numel():
        diagonals = log_sums.new_empty(num_rows, num_heads, num_programs, (num_programs + 1) * block)
    query_gradient_kernel[grid](
        *(query, key, value, output, gradient, log_sums, deltas),
        *(of_query, of_weight if of_weight.numel() else None, diagonals),
        *shared,
        **dims,
        block=block,
        num_warps=tiles.num_warps,
        num_stages=tiles.num_stages,
    )
    if diagonals is not None:
        max_offset = of_row.size(1) // 2
        sum_diagonals_kernel[(triton.cdiv(of_row.size(1), OFFSETS_AT_ONCE), num_heads)](
            *(diagonals, of_row, num_rows, num_heads, num_programs, max_offset),
            block=block,
            block_programs=PROGRAMS_AT_ONCE,
            block_offsets=OFFSETS_AT_ONCE,
        )
    key_gradient_kernel[grid](
        *(query, key, value, gradient, log_sums, deltas, of_key, of_value), *shared, **dims, **tiles._asdict()
    )


def _arguments(query: Tensor, tensors: BiasTensors) -> tuple[Frames, Bias, Tensor | None, int, float]:
    """frames, bias, seed, threshold and scale of every attention kernel."""
    weight, row, positions, valid = tensors.weight, tensors.row, tensors.positions, tensors.valid
    strides, of_weight = query.stride(), weight.stride()
    bias = Bias(
        weight=weight,
        weight_batch_stride=of_weight[0],
        weight_head_stride=of_weight[1],
        weight_frame_stride=of_weight[2],
        row=None if row is None else row.contiguous(),
        max_offset=0 if row is None else row.size(1) // 2,
        positions=None if positions is None else positions.contiguous(),
        position_stride=positions.size(1) if positions is not None and positions.size(0) > 1 else 0,
        num_prefixes=tensors.num_prefixes or None,
        valid=None if valid is None else valid.contiguous(),
    )
    frames = Frames(strides[0], strides[1], strides[2], num_heads=query.size(1), num_frames=query.size(2))
    return frames, bias, tensors.seed, round(tensors.dropout * DRAWS), 1.0 / sqrt(query.size(3))


def _same_strides(*heads: Tensor) -> tuple[Tensor, ...]:
    """As they are if they lie in memory alike with channels side by side, as parts of one projection do."""
    alike = len({x.stride() for x in heads}) == 1 and heads[0].stride(3) == 1
    return heads if alike else tuple(x.contiguous() for x in heads)


def _grid(query: Tensor, block: int) -> tuple[int, int]:
    return int(triton.cdiv(query.size(2), block)), query.size(0) * query.size(1)


def _padded_dim(query: Tensor) -> int:
    """A power of two, and what tensor cores need at least."""
    return max(16, int(triton.next_power_of_2(query.size(3))))
