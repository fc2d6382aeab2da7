"""What the attention kernels share: tiles of frames, of logits, of biases and of dropout.

A bias is weight[query] * factor[query, key]. The factor follows from the two frames' positions: it is made where it is
used, and never stored. The first `num_prefixes` frames have no position: no bias to and from them.
"""

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

LOG2_E = tl.constexpr(1.4426950408889634)
PHILOX_ROUNDS = tl.constexpr(7)  # the fewest that pass all of BigCrush (Salmon et al., 2011, table 2)
DRAWS_PER_CALL = tl.constexpr(8)  # of 16 bits each


class Frames(NamedTuple):
    """How queries, keys and values lie in memory; channels are neighbours."""

    batch_stride: int
    head_stride: int
    frame_stride: int
    num_heads: int
    num_frames: int


class Bias(NamedTuple):
    """What the logits get besides their products."""

    weight: Tensor  # (batch, heads, frames) float32, of the query
    weight_batch_stride: int
    weight_head_stride: int
    weight_frame_stride: int
    row: Tensor | None  # (heads, 2 * max_offset + 1) float32: the factor of key - query; None: minus the distance
    max_offset: int  # at least that of a frame in the last tile behind the end: loads need no mask then
    positions: Tensor | None  # (batch or 1, frames) int32; None: one after the other
    position_stride: int  # from one row of the batch to the next
    num_prefixes: int | None  # None: there are none, and no instructions for them
    valid: Tensor | None  # (batch, frames) bool: keys that are no padding; None: all


@triton.jit
def load_frames(base, frames, frame_stride, num_frames, head_dim: tl.constexpr, padded_dim: tl.constexpr):
    """(frames, padded_dim) of one head; zeros behind the last frame and the last channel."""
    dims = tl.arange(0, padded_dim)
    inside = (frames < num_frames)[:, None]
    if padded_dim != head_dim:
        inside = inside & (dims < head_dim)[None, :]
    return tl.load(base + frames[:, None] * frame_stride + dims[None, :], mask=inside, other=0.0)


@triton.jit
def store_frames(base, frames, frame_stride, num_frames, x, head_dim: tl.constexpr, padded_dim: tl.constexpr):
    """The reverse of `load_frames`."""
    dims = tl.arange(0, padded_dim)
    inside = (frames < num_frames)[:, None]
    if padded_dim != head_dim:
        inside = inside & (dims < head_dim)[None, :]
    tl.store(base + frames[:, None] * frame_stride + dims[None, :], x.to(base.dtype.element_ty), mask=inside)


@triton.jit
def load_weights(bias, batch, head, queries, num_frames):
    """(queries,) float32; zero for a prefix."""
    base = bias.weight + batch * bias.weight_batch_stride + head * bias.weight_head_stride
    inside = queries < num_frames
    if bias.num_prefixes is not None:
        inside = inside & (queries >= bias.num_prefixes)
    return tl.load(base + queries * bias.weight_frame_stride, mask=inside, other=0.0)


@triton.jit
def load_positions(bias, batch, frames, num_frames):
    """(frames,) int32: where they lie in the utterance."""
    if bias.positions is None:
        positions = frames
    else:
        base = bias.positions + batch * bias.position_stride
        positions = tl.load(base + frames, mask=frames < num_frames, other=0)
    return positions


@triton.jit
def bias_factors(bias, head, query_positions, key_positions, keys):
    """(queries, keys) float32: row[head, key - query], or minus the distance (ALiBi)."""
    offsets = key_positions[None, :] - query_positions[:, None]
    if bias.row is None:
        factors = -tl.abs(offsets).to(tl.float32)
    else:
        factors = tl.load(bias.row + head * (2 * bias.max_offset + 1) + bias.max_offset + offsets)
    return without_prefixes(bias, keys, factors)


@triton.jit
def without_prefixes(bias, keys, factors):
    """Zeros for keys that are prefixes."""
    if bias.num_prefixes is not None:
        factors = tl.where((keys >= bias.num_prefixes)[None, :], factors, 0.0)
    return factors


@triton.jit
def visible_keys(bias, batch, keys, num_frames):
    """(keys,) bool: there is such a frame, and it is no padding."""
    visible = keys < num_frames
    if bias.valid is not None:
        visible = tl.load(bias.valid + batch * num_frames + keys, mask=visible, other=0) != 0
    return visible


@triton.jit
def kept_weights(seed, row_of_heads, queries, first_key, threshold, block_k: tl.constexpr):
    """(queries, block_k) bool: the attention weights that dropout keeps; it drops threshold / 65536 of them.

    A function of the seed, the row of the batch, the head, the query and the key alone: whatever the tiles are, and in
    the backward pass as in the forward. `first_key` is a multiple of 8.
    """
    groups = first_key // DRAWS_PER_CALL + tl.arange(0, block_k // DRAWS_PER_CALL)
    zeros = queries[:, None] * 0 + groups[None, :] * 0
    call, of_query, of_head = zeros + groups[None, :], zeros + queries[:, None], zeros + row_of_heads
    a, b, c, d = tl.philox(tl.load(seed), call, of_query, of_head, zeros, PHILOX_ROUNDS)
    words = tl.join(tl.join(a, b), tl.join(c, d))
    draws = tl.join(words & 0xFFFF, words >> 16)  # (queries, calls, 2, 2, 2)
    # Tensor cores give a thread keys 2c, 2c + 1 and those 8, 16 and 24 further: it draws for these, and none is moved.
    draws = tl.reshape(draws, (queries.shape[0], block_k // 32, 4, 2, 2, 2))
    draws = tl.reshape(tl.permute(draws, (0, 1, 3, 4, 2, 5)), (queries.shape[0], block_k))
    return draws >= threshold


@triton.jit
def logits(query, key, weights, factors, visible, scale):
    """(queries, keys) float32, times log2(e): the exponentials are powers of two."""
    products = tl.dot(query, tl.trans(key), input_precision="ieee")
    biased = products * (scale * LOG2_E) + factors * (weights * LOG2_E)[:, None]
    return tl.where(visible[None, :], biased, float("-inf"))
