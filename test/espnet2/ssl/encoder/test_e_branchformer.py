"""E-Branchformer: every block against the paper's equations, written out frame by frame."""

import math

import pytest
import torch
from tiny_encoder import tiny_conf, tiny_encoder
from torch import Tensor
from torch.nn import functional as F

from espnet2.ssl.encoder.e_branchformer import EBranchformerEncoder
from espnet2.ssl.modules.depthwise import GatedMLP
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError


def layer_norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def depthwise(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """(frames, channels): every output frame is a weighted sum of its neighbours, channel by channel."""
    weight, rows = state[f"{name}.weight"][:, 0], []  # (channels, kernel)
    half = weight.size(1) // 2
    for frame in range(len(x)):
        total = state[f"{name}.bias"].clone()
        for offset in range(-half, half + 1):
            if 0 <= frame + offset < len(x):
                total = total + weight[:, offset + half] * x[frame + offset]
        rows.append(total)
    return torch.stack(rows)


def attention(x: Tensor, state: dict[str, Tensor], num_heads: int) -> Tensor:
    """Transformer-XL, equation in section 3.3, pair by pair."""
    frames, dim = x.shape
    size = dim // num_heads
    query, key, value = linear(x, state, "attention.qkv").chunk(3, -1)
    offsets = torch.zeros(2 * frames, dim)  # row frames + query - key
    for row in range(2 * frames):
        for pair in range(dim // 2):
            angle = (row - frames) / 10000 ** (2 * pair / dim)
            offsets[row, 2 * pair], offsets[row, 2 * pair + 1] = math.sin(angle), math.cos(angle)
    projected = offsets @ state["attention.position.projection.weight"].T
    mixed = []
    for head in range(num_heads):
        part = slice(head * size, (head + 1) * size)
        u, v = (state[f"attention.position.{kind}_bias"][head] for kind in ("content", "position"))
        logits = torch.zeros(frames, frames)
        for i in range(frames):
            for j in range(frames):
                content = (query[i, part] + u) @ key[j, part]
                logits[i, j] = content + (query[i, part] + v) @ projected[frames + i - j, part]
        mixed.append((logits / math.sqrt(size)).softmax(-1) @ value[:, part])
    return linear(torch.cat(mixed, -1), state, "attention.output")


def feed_forward(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    inner = linear(layer_norm(x, state, f"{name}.norm"), state, f"{name}.inner")
    return linear(inner * inner.sigmoid(), state, f"{name}.output")


def slow_block(x: Tensor, state: dict[str, Tensor], num_heads: int) -> tuple[Tensor, Tensor]:
    """(frames, dim): equations of Kim et al., 2022, section 3.2."""
    x = x + feed_forward(x, state, "ffn_first") / 2
    attended = attention(layer_norm(x, state, "attention_norm"), state, num_heads)
    inner = F.gelu(linear(layer_norm(x, state, "gated_mlp.input_norm"), state, "gated_mlp.inner"))
    content, gate = inner.chunk(2, -1)
    gate = depthwise(layer_norm(gate, state, "gated_mlp.gate_norm"), state, "gated_mlp.gate")
    both = torch.cat([attended, linear(content * gate, state, "gated_mlp.output")], -1)
    x = x + linear(both + depthwise(both, state, "merge.depthwise"), state, "merge.output")
    branch = feed_forward(x, state, "ffn_second")
    return layer_norm(x + branch / 2, state, "norm"), branch


@torch.no_grad()
def test_blocks_are_the_papers():
    encoder = tiny_encoder("e_branchformer")
    x = torch.randn(1, 9, 16)
    hidden = encoder(x, None, layers=[1, 2, 3]).layers
    branches = encoder(x, None, layers=[1, 2, 3], branch="feed_forward").layers
    expected = x[0]
    for number, block in enumerate(encoder.blocks, 1):
        expected, branch = slow_block(expected, block.state_dict(), num_heads=2)
        torch.testing.assert_close(hidden[number][0], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(branches[number][0], branch, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_gates_are_open_at_the_start():
    torch.manual_seed(0)
    gated = GatedMLP(16, 24, 5, dropout=0.0)
    x = torch.randn(2, 10, 16)
    content = F.gelu(gated.inner(gated.input_norm(x)))[..., :12]
    torch.testing.assert_close(gated(x, None), gated.output(content), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"cgmlp_dim": 25}, "cgmlp_dim is 25; expected an even number"),
        ({"cgmlp_conv_kernel": 4}, "cgmlp_conv_kernel is 4; expected an odd number"),
        ({"merge_conv_kernel": 4}, "merge_conv_kernel is 4; expected an odd number"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(conf, message):
    with pytest.raises(UserError, match=message):
        parse_config(EBranchformerEncoder.Config, tiny_conf("e_branchformer", **conf), "encoder_conf")
