"""The gradient of an attention's output in; the gradients of queries, keys, values, weights and offsets out.

No addition is atomic: every sum has one owner and one order, so that two runs give the same bits.
"""

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
    without_prefixes,
)


@triton.jit
def logit_gradients(
    products, probabilities, delta, seed, row_of_heads, queries, first_key, threshold, block_k: tl.constexpr
):
    """(queries, keys) float32, and the probabilities after dropout; `products` are those of gradient and values."""
    after_dropout = probabilities
    if seed is not None:
        kept = kept_weights(seed, row_of_heads, queries, first_key, threshold, block_k)
        grown = 65536.0 / (65536 - threshold)
        products = tl.where(kept, products * grown, 0.0)
        after_dropout = tl.where(kept, probabilities * grown, 0.0)
    return probabilities * (products - delta[:, None]), after_dropout


@triton.jit
def query_gradient_kernel(
    query,
    key,
    value,
    output,
    output_gradient,
    log_sums,
    deltas,
    query_gradient,
    weight_gradient,
    diagonals,
    frames,
    bias,
    seed,
    threshold,
    scale,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    block: tl.constexpr,
):
    """One program has `block` queries of one head and goes through all keys, as many at a time.

    Besides the queries' gradient it gives `deltas`, sums of output times gradient that the keys' kernel reads; the
    weights' gradient; and `diagonals`, (batch, heads, programs, slots): what each offset between key and query got in
    this program, see `sum_diagonals_kernel`. A tile has `block` offsets below its main diagonal and `block` from it on.
    Those below are the upper ones of the tile before: each slot is written once, when both are known.
    """
    num_frames, stride = frames.num_frames, frames.frame_stride
    row_of_heads = tl.program_id(1)
    batch, head = (row_of_heads // frames.num_heads).to(tl.int64), row_of_heads % frames.num_heads
    base = batch * frames.batch_stride + head * frames.head_stride
    output_base = (batch * num_frames * frames.num_heads + head) * head_dim
    output_stride = frames.num_heads * head_dim
    queries = tl.program_id(0) * block + tl.arange(0, block)
    inside = queries < num_frames
    sums = row_of_heads.to(tl.int64) * num_frames + queries
    q = load_frames(query + base, queries, stride, num_frames, head_dim, padded_dim)
    out = load_frames(output + output_base, queries, output_stride, num_frames, head_dim, padded_dim)
    gradient = load_frames(output_gradient + output_base, queries, output_stride, num_frames, head_dim, padded_dim)
    delta = tl.sum(out.to(tl.float32) * gradient.to(tl.float32), 1)
    tl.store(deltas + sums, delta, mask=inside)
    log_sum = tl.load(log_sums + sums, mask=inside, other=float("inf"))
    weights = load_weights(bias, batch, head, queries, num_frames)
    query_positions = load_positions(bias, batch, queries, num_frames)
    of_queries = tl.zeros((block, padded_dim), tl.float32)
    of_weights = tl.zeros((block,), tl.float32)
    above = tl.zeros((block,), tl.float32)
    program, programs = tl.program_id(0), tl.num_programs(0)
    slots = (row_of_heads.to(tl.int64) * programs + program) * (programs + 1) * block + tl.arange(0, block)
    for first_key in range(0, num_frames, block):
        keys = first_key + tl.arange(0, block)
        k = load_frames(key + base, keys, stride, num_frames, head_dim, padded_dim)
        v = load_frames(value + base, keys, stride, num_frames, head_dim, padded_dim)
        key_positions = load_positions(bias, batch, keys, num_frames)
        factors = bias_factors(bias, head, query_positions, key_positions, keys)
        scores = logits(q, k, weights, factors, visible_keys(bias, batch, keys, num_frames), scale)
        products = tl.dot(gradient, tl.trans(v), input_precision="ieee")
        probabilities = tl.exp2(scores - log_sum[:, None])
        of_logits, _ = logit_gradients(
            products, probabilities, delta, seed, row_of_heads, queries, first_key, threshold, block
        )
        of_queries += tl.dot(of_logits.to(k.dtype), k, input_precision="ieee")
        if weight_gradient is not None:
            of_weights += tl.sum(of_logits * factors, 1)
        if diagonals is not None:
            of_offsets = without_prefixes(bias, keys, of_logits * weights[:, None])
            shifted = tl.arange(0, block)[:, None] + tl.arange(0, block)[None, :]
            skewed = tl.gather(of_offsets, shifted % block, 1)  # column c of row r is key c + r
            below = tl.sum(tl.where(shifted >= block, skewed, 0.0), 0)
            tl.store(diagonals + slots + first_key, above + below)
            above = tl.sum(tl.where(shifted < block, skewed, 0.0), 0)
    store_frames(
        query_gradient + output_base, queries, output_stride, num_frames, of_queries * scale, head_dim, padded_dim
    )
    if weight_gradient is not None:
        if bias.num_prefixes is not None:
            of_weights = tl.where(queries < bias.num_prefixes, 0.0, of_weights)
        tl.store(weight_gradient + sums, of_weights, mask=inside)
    if diagonals is not None:
        tl.store(diagonals + slots + programs * block, above)


@triton.jit
def key_gradient_kernel(
    query,
    key,
    value,
    output_gradient,
    log_sums,
    deltas,
    key_gradient,
    value_gradient,
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
    """One program has block_k keys of one head and goes through all queries."""
    num_frames, stride = frames.num_frames, frames.frame_stride
    row_of_heads = tl.program_id(1)
    batch, head = (row_of_heads // frames.num_heads).to(tl.int64), row_of_heads % frames.num_heads
    base = batch * frames.batch_stride + head * frames.head_stride
    output_base = (batch * num_frames * frames.num_heads + head) * head_dim
    output_stride = frames.num_heads * head_dim
    first_key = tl.program_id(0) * block_k
    keys = first_key + tl.arange(0, block_k)
    k = load_frames(key + base, keys, stride, num_frames, head_dim, padded_dim)
    v = load_frames(value + base, keys, stride, num_frames, head_dim, padded_dim)
    key_positions = load_positions(bias, batch, keys, num_frames)
    visible = visible_keys(bias, batch, keys, num_frames)
    of_keys = tl.zeros((block_k, padded_dim), tl.float32)
    of_values = tl.zeros((block_k, padded_dim), tl.float32)
    for first_query in range(0, num_frames, block_q):
        queries = first_query + tl.arange(0, block_q)
        inside = queries < num_frames
        sums = row_of_heads.to(tl.int64) * num_frames + queries
        q = load_frames(query + base, queries, stride, num_frames, head_dim, padded_dim)
        gradient = load_frames(output_gradient + output_base, queries, output_stride, num_frames, head_dim, padded_dim)
        delta = tl.load(deltas + sums, mask=inside, other=0.0)
        log_sum = tl.load(log_sums + sums, mask=inside, other=float("inf"))
        weights = load_weights(bias, batch, head, queries, num_frames)
        query_positions = load_positions(bias, batch, queries, num_frames)
        factors = bias_factors(bias, head, query_positions, key_positions, keys)
        scores = logits(q, k, weights, factors, visible, scale)
        products = tl.dot(gradient, tl.trans(v), input_precision="ieee")
        probabilities = tl.exp2(scores - log_sum[:, None])
        of_logits, after_dropout = logit_gradients(
            products, probabilities, delta, seed, row_of_heads, queries, first_key, threshold, block_k
        )
        of_values += tl.dot(tl.trans(after_dropout.to(gradient.dtype)), gradient, input_precision="ieee")
        of_keys += tl.dot(tl.trans(of_logits.to(q.dtype)), q, input_precision="ieee")
    store_frames(key_gradient + output_base, keys, output_stride, num_frames, of_keys * scale, head_dim, padded_dim)
    store_frames(value_gradient + output_base, keys, output_stride, num_frames, of_values, head_dim, padded_dim)


@triton.jit
def sum_diagonals_kernel(
    diagonals,
    row_gradient,
    num_rows,
    num_heads,
    num_programs,
    max_offset,
    block: tl.constexpr,
    block_programs: tl.constexpr,
    block_offsets: tl.constexpr,
):
    """(batch, heads, programs, slots) -> (heads, 2 * max_offset + 1): one program has some offsets of one head.

    Slot s of program p of `query_gradient_kernel` is offset s - (p + 1) * block.
    """
    head = tl.program_id(1)
    columns = tl.program_id(0) * block_offsets + tl.arange(0, block_offsets)
    num_slots = (num_programs + 1) * block
    total = tl.zeros((block_programs, block_offsets), tl.float32)
    for first in range(0, num_rows * num_programs, block_programs):
        pair = first + tl.arange(0, block_programs)
        batch, program = pair // num_programs, pair % num_programs
        slots = columns[None, :] - max_offset + ((program + 1) * block)[:, None]
        inside = (slots >= 0) & (slots < num_slots) & (batch < num_rows)[:, None]
        base = ((batch.to(tl.int64) * num_heads + head) * num_programs + program) * num_slots
        total += tl.load(diagonals + base[:, None] + slots, mask=inside, other=0.0)
    width = 2 * max_offset + 1
    tl.store(row_gradient + head * width + columns, tl.sum(total, 0), mask=columns < width)
