"""Attention whose logits get a bias of positions inside the kernel, as operators of PyTorch that know their gradient.

No tensor of (frames x frames) is made, forward or backward. Logits are query * key / sqrt(dim) + weight * factor: the
weight belongs to the query, and the factor to the offset between key and query.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

LARGEST_HEAD_DIM = 128
COMPUTED = (torch.float32, torch.float16, torch.bfloat16)
BEYOND_THE_END = 64  # frames of the last tile behind the last one, at most: a row of offsets reaches so far


class BiasTensors(NamedTuple):
    """What biases and dropout are made of, as `attend` takes it."""

    weight: Tensor
    row: Tensor | None
    positions: Tensor | None
    valid: Tensor | None
    seed: Tensor | None
    num_prefixes: int
    dropout: float


def draw_seed(device: torch.device) -> Tensor:
    """(1,) int64: what dropout inside the kernel follows, from PyTorch's generator of that device."""
    return torch.randint(2**63 - 1, (1,), device=device)


@torch.library.custom_op("espnet2::attend", mutates_args=())
def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor,
    row: Tensor | None,
    positions: Tensor | None,
    valid: Tensor | None,
    seed: Tensor | None,
    num_prefixes: int,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """Attend.

    Args:
        query, key, value: (batch, heads, frames, dim), dim at most 128, of one floating-point type.
        weight: (batch, heads, frames) float32, of any strides.
        row: (heads, 2 * n + 1) float32, n >= frames + BEYOND_THE_END: factors of key minus query; None: minus their
            distance.
        positions: (batch or 1, frames) int32, where the frames lie in the utterance if that is not one after the other;
            only without `row`.
        valid: (batch, frames) bool, False for keys that are padding.
        seed: of `draw_seed`; None: nothing is dropped.
        num_prefixes: so many frames at the beginning have no bias to and from them.
        dropout: share of the attention weights, rounded to a multiple of 1 / 65536.

    Returns:
        (batch, heads, frames, dim), a view of (batch, frames, heads, dim); and float32 (batch, heads, frames): the
        logarithm to the base of two of each query's sum of exponentials. A query whose keys are all padding gets zeros.

    Raises:
        ValueError: the kernel cannot compute that.
    """
    from espnet2.ssl.kernels.launch import attend_forward

    _check(query, weight, row, positions)
    tensors = BiasTensors(weight, row, positions, valid, seed, num_prefixes, dropout)
    output, log_sums = _results(query)
    attend_forward(query, key, value, tensors, output, log_sums)
    return output, log_sums


@torch.library.custom_op("espnet2::attend_backward", mutates_args=())
def attend_backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor,
    row: Tensor | None,
    positions: Tensor | None,
    valid: Tensor | None,
    seed: Tensor | None,
    num_prefixes: int,
    dropout: float,
    output: Tensor,
    log_sums: Tensor,
    gradient: Tensor,
    wants_weight: bool,
    wants_row: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of query, key, value, weight and row; of the last two empty tensors where nobody wants them."""
    from espnet2.ssl.kernels.launch import attend_gradients

    tensors = BiasTensors(weight, row, positions, valid, seed, num_prefixes, dropout)
    gradients = _gradients(query, weight, row, wants_weight, wants_row)
    attend_gradients(query, key, value, tensors, output, log_sums, gradient, gradients)
    return gradients


def _check(query: Tensor, weight: Tensor, row: Tensor | None, positions: Tensor | None) -> None:
    """What would read beyond a tensor's end, or compute in silence what nobody meant."""
    if query.dtype not in COMPUTED or query.size(3) > LARGEST_HEAD_DIM:
        raise ValueError(
            f"heads of {query.size(3)} in {query.dtype}; expected at most {LARGEST_HEAD_DIM} in {COMPUTED}"
        )
    if weight.shape != query.shape[:3] or weight.dtype != torch.float32:
        raise ValueError(f"weight is {tuple(weight.shape)} {weight.dtype}; expected {tuple(query.shape[:3])} float32")
    if row is not None and (positions is not None or row.size(1) // 2 < query.size(2) + BEYOND_THE_END):
        raise ValueError(
            f"a row of {row.size(1)} offsets for {query.size(2)} frames, positions {positions is not None}"
        )


def _results(query: Tensor) -> tuple[Tensor, Tensor]:
    return _frames_first(query), query.new_empty(query.shape[:3], dtype=torch.float32)


def _gradients(
    query: Tensor, weight: Tensor, row: Tensor | None, wants_weight: bool, wants_row: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    of_weight = weight.new_empty(weight.shape if wants_weight else (0,))
    of_row = weight.new_empty(row.shape if row is not None and wants_row else (0,))
    return _frames_first(query), _frames_first(query), _frames_first(query), of_weight, of_row


def _frames_first(query: Tensor) -> Tensor:
    """New memory of the query's shape, (batch, frames, heads, dim) in memory: what a projection wants."""
    batch, heads, frames, dim = query.shape
    return query.new_empty(batch, frames, heads, dim).transpose(1, 2)


@attend.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor,
    row: Tensor | None,
    positions: Tensor | None,
    valid: Tensor | None,
    seed: Tensor | None,
    num_prefixes: int,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    return _results(query)


@attend_backward.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor,
    row: Tensor | None,
    positions: Tensor | None,
    valid: Tensor | None,
    seed: Tensor | None,
    num_prefixes: int,
    dropout: float,
    output: Tensor,
    log_sums: Tensor,
    gradient: Tensor,
    wants_weight: bool,
    wants_row: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _gradients(query, weight, row, wants_weight, wants_row)


class _Context(Protocol):
    """What autograd gives the two functions below."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    num_prefixes: int
    dropout: float

    def save_for_backward(self, *tensors: Tensor | None) -> None: ...
    def mark_non_differentiable(self, *tensors: Tensor) -> None: ...
    def set_materialize_grads(self, value: bool) -> None: ...


_Inputs = tuple[
    Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None, int, float
]  # of `attend`


def _save(ctx: _Context, inputs: _Inputs, output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:8], *output)
    ctx.num_prefixes, ctx.dropout = inputs[8], inputs[9]
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: _Context, gradient: Tensor | None, of_log_sums: Tensor | None) -> tuple[Tensor | None, ...]:
    if gradient is None:
        return (None,) * 10
    *inputs, output, log_sums = ctx.saved_tensors
    wants_weight, wants_row = ctx.needs_input_grad[3:5]
    results = attend_backward(
        *inputs, ctx.num_prefixes, ctx.dropout, output, log_sums, gradient, wants_weight, wants_row
    )
    of_weight, of_row = results[3] if wants_weight else None, results[4] if wants_row else None
    return (*results[:3], of_weight, of_row, None, None, None, None, None)


attend.register_autograd(_backward, setup_context=_save)
