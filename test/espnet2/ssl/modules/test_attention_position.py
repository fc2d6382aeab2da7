"""Positions inside attention: slopes, buckets and gates of the sheets, closed forms, masks, prefixes, kept frames."""

import pytest
import torch
from torch.nn import functional as F
from torchaudio.models.wav2vec2.wavlm_attention import WavLMSelfAttention
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from espnet2.ssl.modules import attention_rows
from espnet2.ssl.modules.alibi import Alibi, alibi_slopes
from espnet2.ssl.modules.attention import SelfAttention
from espnet2.ssl.modules.attention_position import add_mask
from espnet2.ssl.modules.attention_rows import LongPosition
from espnet2.ssl.modules.gated_relative import BucketTable, PositionGate, offset_buckets
from espnet2.ssl.modules.position import ConvPositionStack, frame_offsets
from espnet2.ssl.modules.relative import RelativeLogits, Sinusoids
from espnet2.ssl.modules.relative_key import ClippedOffsets, RelativeKeys
from espnet2.ssl.modules.rotary import RotaryInput

CPU = torch.device("cpu")


def test_slopes_of_the_sheet():
    assert torch.equal(alibi_slopes(16), 2.0 ** (-0.5 * torch.arange(1, 17)))
    expected = [2.0**-k for k in range(1, 9)] + [2.0**-k for k in (0.5, 1.5, 2.5, 3.5)]
    torch.testing.assert_close(alibi_slopes(12), torch.tensor(expected))
    assert torch.equal(alibi_slopes(8), 2.0 ** -torch.arange(1.0, 9))
    assert alibi_slopes(1).tolist() == [2.0**-8] and len(alibi_slopes(3)) == 3


def test_alibi_is_symmetric_and_uses_original_indices():
    alibi = Alibi(8, learned_scale=False)
    whole = alibi(frame_offsets(10, None, CPU), 10, 0)
    assert whole.shape == (1, 8, 10, 10)
    assert whole[0, 0, 2, 7] == whole[0, 0, 7, 2] == -0.5 * 5
    keep = torch.tensor([[1, 4, 9], [0, 2, -1]])
    kept = alibi(frame_offsets(10, keep, CPU), 10, 0)
    assert kept[0, 0].tolist() == [[0, -1.5, -4], [-1.5, 0, -2.5], [-4, -2.5, 0]]
    assert kept[1, 1, 0, 1] == -0.25 * 2


def test_prefixes_have_no_bias():
    keep = torch.tensor([[1, 4, 9]])
    for module in (Alibi(2, learned_scale=True), BucketTable(2, 16, 12)):
        bias = module(frame_offsets(10, keep, CPU), 10, 2)
        assert bias.shape == (1, 2, 5, 5)
        assert (bias[..., :2, :] == 0).all() and (bias[..., :, :2] == 0).all()
        assert torch.equal(bias[..., 2:, 2:], module(frame_offsets(10, keep, CPU), 10, 0))


def test_learned_scale_starts_at_one_and_is_never_negative():
    alibi = Alibi(2, learned_scale=True)
    offsets = frame_offsets(4, None, CPU)
    assert torch.equal(alibi(offsets, 4, 0), Alibi(2, learned_scale=False)(offsets, 4, 0))
    with torch.no_grad():
        alibi.scale.copy_(torch.tensor([2.0, -1.0]))
    bias = alibi(offsets, 4, 0)
    assert bias[0, 0, 0, 3] == -2 * 3 * alibi.slopes[0] and (bias[0, 1] == 0).all()


def test_buckets_of_the_sheet():
    offsets = [0, -5, 5, -79, 79, -80, 80, -400, 400, 2000, -2000]
    expected = [0, 5, 165, 79, 239, 80, 240, 135, 295, 319, 159]
    assert offset_buckets(torch.tensor(offsets), 320, 800).tolist() == expected


def test_buckets_are_those_of_both_libraries():
    offsets = torch.arange(-2000, 2001)
    ours = offset_buckets(offsets, 320, 800)
    assert torch.equal(ours, WavLMAttention(12, 2, max_distance=800)._relative_positions_bucket(offsets))
    attention = WavLMSelfAttention(12, 2, has_relative_attention_bias=True, num_buckets=320, max_distance=800)
    assert torch.equal(ours, attention._relative_positions_bucket(offsets))


def test_silent_gates_of_the_sheet():
    gate = PositionGate(8, 2)
    torch.nn.init.zeros_(gate.linear.weight)
    torch.nn.init.zeros_(gate.linear.bias)
    x = torch.randn(2, 5, 8)
    assert gate.gate(x).shape == (2, 2, 5, 1) and (gate.gate(x) == 1.75).all()
    query, bias = gate(x, x, torch.ones(1, 2, 5, 5))
    assert query is x and (bias == 1.75).all() and (gate.last == 1.75).all() and not gate.last.requires_grad


def test_gate_reads_each_heads_own_slice():
    gate = PositionGate(8, 2)
    x = torch.randn(1, 3, 8)
    changed = x.clone()
    changed[..., 4:] += 1
    same = gate.gate(x) == gate.gate(changed)
    assert same[:, 0].all() and not same[:, 1].any()


def relative_closed_form(module: RelativeLogits, query: torch.Tensor, index: list[int]) -> torch.Tensor:
    """Pair by pair: (query + v) W sinusoid(query index - key index) / sqrt(size)."""
    heads, size = module.content_bias.shape
    table = Sinusoids(heads * size)(frame_offsets(50, None, CPU), 50, 0).sinusoids
    logits = torch.zeros(query.size(0), heads, len(index), len(index))
    for i, position in enumerate(index):
        for j, other in enumerate(index):
            row = module.projection(table[49 - (position - other)]).view(heads, size)
            logits[..., i, j] = ((query[:, :, i] + module.position_bias) * row).sum(-1) / size**0.5
    return logits


@torch.no_grad()
def test_relative_logits_pair_by_pair():
    module = RelativeLogits(8, 2)
    x, query = torch.randn(2, 6, 8), torch.randn(2, 2, 6, 4)
    table = Sinusoids(8)(frame_offsets(6, None, CPU), 6, 0)
    assert table.rows is None
    moved, bias = module(x, query, table)
    torch.testing.assert_close(moved, query + module.content_bias[:, None])
    torch.testing.assert_close(bias, relative_closed_form(module, query, list(range(6))), atol=1e-5, rtol=1e-5)
    keep = torch.tensor([[0, 2, 3, 7, 8, 20], [1, 2, 3, 4, 5, 49]])
    _, bias = module(x, query, Sinusoids(8)(frame_offsets(50, keep, CPU), 50, 0))
    for row in (0, 1):
        expected = relative_closed_form(module, query[row : row + 1], keep[row].tolist())
        torch.testing.assert_close(bias[row : row + 1], expected, atol=1e-5, rtol=1e-5)
    query = torch.randn(2, 2, 8, 4)  # two prefixes
    _, bias = module(x, query, table)
    assert (bias[..., :2, :] == 0).all() and (bias[..., :, :2] == 0).all()
    torch.testing.assert_close(bias[..., 2:, 2:], module(x, query[:, :, 2:], table)[1])


@torch.no_grad()
def test_relative_keys_pair_by_pair():
    """Shaw et al. (2018), equation 4: query times (key + vector of the clipped offset), over the root of the size."""
    keys, (left, right), index = RelativeKeys(4, 3, 1), (3, 1), [0, 2, 3, 7, 8, 20]
    query = torch.randn(2, 2, 6, 4)
    rows = ClippedOffsets(left, right)(frame_offsets(50, torch.tensor([index, index]), CPU), 50, 0)
    same, bias = keys(query, query, rows)
    assert same is query
    for i, position in enumerate(index):
        for j, other in enumerate(index):
            vector = keys.table[min(max(other - position, -left), right) + left]
            torch.testing.assert_close(bias[..., i, j], (query[:, :, i] @ vector) / 2)
    query = torch.randn(2, 2, 8, 4)  # two prefixes
    _, padded = keys(query, query, rows)
    assert (padded[..., :2, :] == 0).all() and (padded[..., :, :2] == 0).all()
    torch.testing.assert_close(padded[..., 2:, 2:], keys(query, query[:, :, 2:], rows)[1])


@torch.no_grad()
def test_rotary_input_turns_pairs_by_the_frames_time_and_leaves_prefixes():
    rotation = RotaryInput(4)(frame_offsets(5, None, CPU), 5, 2)
    x = torch.randn(1, 7, 8)
    turned = rotation.turn(x, 2)
    assert torch.equal(turned[:, :3], x[:, :3])  # two prefixes and frame 0
    as_complex = torch.complex(*x.view(1, 7, 2, 2, 2).unbind(3))  # pairs are half a head apart
    angles = torch.arange(5)[:, None] * torch.tensor([1.0, 0.01])
    expected = as_complex[:, 2:] * torch.polar(torch.ones_like(angles), angles)[None, :, None]
    expected = torch.stack([expected.real, expected.imag], 3).flatten(2)
    torch.testing.assert_close(turned[:, 2:], expected, atol=1e-6, rtol=1e-5)
    attention = SelfAttention(8, 2, 0.0)
    query, key, _ = attention.qkv(turned).chunk(3, -1)
    value = attention.qkv(x).chunk(3, -1)[2]
    heads = [part.view(1, 7, 2, 4).transpose(1, 2) for part in (query, key, value)]
    mixed = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(x, None, rotation), attention.output(mixed))


def test_sinusoids_of_one_frame():
    table = Sinusoids(4)(frame_offsets(1, None, CPU), 1, 0)
    assert table.sinusoids.tolist() == [[0, 1, 0, 1]]
    assert RelativeLogits(4, 2)(torch.randn(1, 1, 4), torch.randn(1, 2, 1, 2), table)[1].shape == (1, 2, 1, 1)


@pytest.mark.parametrize("kind", ["gated", "relative", "shared"])
def test_bias_and_padding_mask_combine(kind):
    part = {"gated": PositionGate(8, 2), "relative": RelativeLogits(8, 2), "shared": None}[kind]
    shared = BucketTable(2, 16, 12) if kind != "relative" else Sinusoids(8)
    attention = SelfAttention(8, 2, 0.0, part)
    x = torch.randn(2, 6, 8)
    mask = torch.tensor([[True] * 4 + [False] * 2, [False] * 6])[:, None, None, :]

    def attend(x, mask):
        position = shared(frame_offsets(x.size(1), None, CPU), x.size(1), 0)
        return attention(x, add_mask(position, mask)) if kind == "shared" else attention(x, mask, position)

    output = attend(x, mask)
    torch.testing.assert_close(output[0, :4], attend(x[:1, :4], None)[0])
    assert output.isfinite().all(), "also in a row that may look at nothing"
    assert not torch.allclose(output[0], attention.output(torch.zeros(8)))
    output.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in attention.parameters())


def test_scaled_dot_product_with_a_float_mask_is_the_reference():
    attention = SelfAttention(8, 2, 0.0)
    x, bias = torch.randn(1, 5, 8), torch.randn(1, 2, 5, 5)
    query, key, value = attention.qkv(x).view(1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    expected = ((query @ key.transpose(-1, -2)) / 2 + bias).softmax(-1) @ value
    torch.testing.assert_close(attention(x, bias), attention.output(expected.transpose(1, 2).reshape(1, 5, 8)))


def test_position_stack_is_data2vecs():
    stack = ConvPositionStack(12, 5, 3, depth=2)
    x = torch.randn(2, 20, 12)
    expected = x.transpose(1, 2)
    for conv in stack.convs:
        expected = F.gelu(F.layer_norm(conv(expected).transpose(1, 2), (12,))).transpose(1, 2)
    torch.testing.assert_close(stack(x), expected.transpose(1, 2))
    assert len(list(stack.parameters())) == 4 and all(name.startswith("convs.") for name in stack.state_dict())


def test_position_stack_never_sees_padding():
    stack = ConvPositionStack(12, 5, 3, depth=3)
    x, valid = torch.randn(2, 20, 12), torch.arange(20) < torch.tensor([20, 9])[:, None]
    torch.testing.assert_close(stack(x, valid)[1, :9], stack(x[1:, :9])[0], atol=1e-6, rtol=1e-5)
    assert ConvPositionStack(12, 4, 3, depth=3)(x).shape == x.shape


@pytest.mark.parametrize(
    ("kind", "num_prefixes"),
    [("alibi", 0), ("alibi", 2), ("buckets", 0), ("buckets", 2), ("gated", 0), ("relative", 0), ("keys", 0)],
)
@pytest.mark.parametrize("padded", [False, True])
def test_queries_part_by_part_are_all_queries_at_once(monkeypatch, kind, num_prefixes, padded):
    monkeypatch.setattr(attention_rows, "LOGITS_AT_ONCE", 2 * 2 * 23 * 5)
    torch.manual_seed(0)
    num_frames, batch = 23 - num_prefixes, 2
    shared = {"alibi": lambda: Alibi(2, learned_scale=True), "relative": lambda: Sinusoids(8)}
    per_layer = {"gated": lambda: PositionGate(8, 2), "relative": lambda: RelativeLogits(8, 2)}
    shared["keys"], per_layer["keys"] = lambda: ClippedOffsets(4, 2), lambda: RelativeKeys(4, 4, 2)
    shared, per_layer = shared.get(kind, lambda: BucketTable(2, 16, 12))(), per_layer.get(kind, lambda: None)()
    attention = SelfAttention(8, 2, 0.0, per_layer)
    x = torch.randn(batch, 23, 8)
    valid = torch.arange(23) < torch.tensor([[23], [17]]) if padded else None
    mask = None if valid is None else valid[:, None, None, :]
    position = shared(frame_offsets(num_frames, None, CPU), num_frames, num_prefixes)
    with torch.no_grad():
        inputs = (mask, position) if per_layer is not None else (add_mask(position, mask), None)
        expected = attention(x, *inputs)
        long = LongPosition(shared, per_layer is not None, valid, batch, 2, num_frames, num_prefixes, CPU)
        assert [(rows.part.start, rows.part.stop) for rows in long][:2] == [(0, 5), (5, 10)]
        output = attention(x, None, long)
    kept = slice(None) if valid is None else valid
    torch.testing.assert_close(output[kept], expected[kept], atol=1e-6, rtol=1e-5)
