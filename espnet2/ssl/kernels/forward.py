"""Queries, keys and values in; what attention makes of them, and the logarithm of each row's sum, out."""

import triton
import triton.language as tl

from espnet2.ssl.kernels.tiles import (
    bias_factors,
    kept_weights,
    load_frames,
    load_positions,
    load_weights,
    logits,
    store_frames,
    visible_keys,
)


@triton.jit
def attend_kernel(
    query,
    key,
    value,
    output,
    log_sums,
    frames,
    bias,
    seed,
    threshold,
    scale,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    block_q: tl.constexpr,
    block_k: tl.constexpr,
):
    """One program has block_q queries of one head and goes through all keys (Dao, 2023, arXiv 2307.08691).

    `output` is (batch, frames, heads, head_dim) in memory, `log_sums` (batch, heads, frames) are to the base of two.
    """
    num_frames, stride = frames.num_frames, frames.frame_stride
    row_of_heads = tl.program_id(1)
    batch, head = (row_of_heads // frames.num_heads).to(tl.int64), row_of_heads % frames.num_heads
    base = batch * frames.batch_stride + head * frames.head_stride
    queries = tl.program_id(0) * block_q + tl.arange(0, block_q)
    q = load_frames(query + base, queries, stride, num_frames, head_dim, padded_dim)
    weights = load_weights(bias, batch, head, queries, num_frames)
    query_positions = load_positions(bias, batch, queries, num_frames)
    highest = tl.full((block_q,), float("-inf"), tl.float32)
    total = tl.zeros((block_q,), tl.float32)
    mixed = tl.zeros((block_q, padded_dim), tl.float32)
    for first_key in range(0, num_frames, block_k):
        keys = first_key + tl.arange(0, block_k)
        k = load_frames(key + base, keys, stride, num_frames, head_dim, padded_dim)
        v = load_frames(value + base, keys, stride, num_frames, head_dim, padded_dim)
        key_positions = load_positions(bias, batch, keys, num_frames)
        factors = bias_factors(bias, head, query_positions, key_positions, keys)
        scores = logits(q, k, weights, factors, visible_keys(bias, batch, keys, num_frames), scale)
        raised = tl.maximum(highest, tl.max(scores, 1))
        reference = tl.where(raised == float("-inf"), 0.0, raised)  # no visible key so far
        shrink = tl.exp2(highest - reference)
        exponentials = tl.exp2(scores - reference[:, None])
        total = total * shrink + tl.sum(exponentials, 1)
        if seed is not None:
            kept = kept_weights(seed, row_of_heads, queries, first_key, threshold, block_k)
            exponentials = tl.where(kept, exponentials, 0.0)
        mixed = mixed * shrink[:, None] + tl.dot(exponentials.to(v.dtype), v, input_precision="ieee")
        highest = raised
    nonzero = tl.where(total > 0.0, total, 1.0)  # a row without a visible key gives zeros
    share = 1.0 / nonzero
    if seed is not None:
        share = share * (65536.0 / (65536 - threshold))
    output_base = (batch * num_frames * frames.num_heads + head) * head_dim
    output_stride = frames.num_heads * head_dim
    store_frames(output + output_base, queries, output_stride, num_frames, mixed * share[:, None], head_dim, padded_dim)
    log_sum = tl.where(total > 0.0, highest + tl.log2(nonzero), 0.0)
    tl.store(log_sums + row_of_heads.to(tl.int64) * num_frames + queries, log_sum, mask=queries < num_frames)
