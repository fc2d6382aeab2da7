"""Conformer: parity with transformers and torchaudio, batch norm's statistics and when they move."""

import pytest
import torch
import torchaudio
from tiny_encoder import tiny_conf, tiny_encoder
from torch import Tensor
from transformers import Wav2Vec2BertConfig, Wav2Vec2ConformerConfig
from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import Wav2Vec2BertEncoderLayer
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
    Wav2Vec2ConformerEncoderLayer,
    Wav2Vec2ConformerRelPositionalEmbedding,
)

from espnet2.ssl.encoder.conformer import ConformerEncoder
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError

HALVES = {"first": "1", "second": "2"}


def transformers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A block's state dict in the names of transformers' conformer layers."""
    names = {
        "attention.output": "self_attn.linear_out", "attention_norm": "self_attn_layer_norm",
        "attention.position.projection": "self_attn.linear_pos", "norm": "final_layer_norm",
        "attention.position.content_bias": "self_attn.pos_bias_u",
        "attention.position.position_bias": "self_attn.pos_bias_v",
        "convolution.input_norm": "conv_module.layer_norm", "convolution.gated": "conv_module.pointwise_conv1",
        "convolution.depthwise": "conv_module.depthwise_conv", "convolution.output": "conv_module.pointwise_conv2",
        "convolution.norm": "conv_module.batch_norm",
    }  # fmt: skip
    for half, number in HALVES.items():
        names |= {
            f"ffn_{half}.norm": f"ffn{number}_layer_norm",
            f"ffn_{half}.inner": f"ffn{number}.intermediate_dense",
            f"ffn_{half}.output": f"ffn{number}.output_dense",
        }
    renamed = {}
    for key, value in state.items():
        if key.startswith("attention.qkv."):
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                renamed[f"self_attn.linear_{letter}.{key.rsplit('.', 1)[1]}"] = part
            continue
        ours = next(name for name in sorted(names, key=len, reverse=True) if key == name or key.startswith(f"{name}."))
        value = value[..., None] if "pointwise" in names[ours] and value.dim() == 2 else value
        renamed[names[ours] + key.removeprefix(ours)] = value
    return renamed


def torchaudio_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A block's state dict in the names of torchaudio's ConformerLayer."""
    names = {
        "attention.qkv.weight": "self_attn.in_proj_weight", "attention.qkv.bias": "self_attn.in_proj_bias",
        "attention.output": "self_attn.out_proj", "attention_norm": "self_attn_layer_norm", "norm": "final_layer_norm",
        "convolution.input_norm": "conv_module.layer_norm", "convolution.gated": "conv_module.sequential.0",
        "convolution.depthwise": "conv_module.sequential.2", "convolution.norm": "conv_module.sequential.3",
        "convolution.output": "conv_module.sequential.5",
    }  # fmt: skip
    for half, number in HALVES.items():
        parts = {"norm": 0, "inner": 1, "output": 4}
        names |= {f"ffn_{half}.{part}": f"ffn{number}.sequential.{index}" for part, index in parts.items()}
    renamed = {}
    for key, value in state.items():
        ours = next(name for name in sorted(names, key=len, reverse=True) if key == name or key.startswith(f"{name}."))
        pointwise = ours in ("convolution.gated", "convolution.output") and value.dim() == 2
        renamed[names[ours] + key.removeprefix(ours)] = value[..., None] if pointwise else value
    return renamed


def load(other: torch.nn.Module, state: dict[str, Tensor]) -> None:
    """Load; what torch's BatchNorm counts besides is not ours."""
    missing = other.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys), missing.missing_keys


def with_statistics(encoder: ConformerEncoder) -> ConformerEncoder:
    """Running statistics of batch norm that are no special values."""
    for key, buffer in encoder.named_buffers():
        if "running" in key:
            buffer.uniform_(0.5, 1.5)
    return encoder


@torch.no_grad()
def test_relative_positions_and_batch_norm_are_those_of_transformers():
    encoder = with_statistics(tiny_encoder("conformer", conv_norm="batch", conv_bias=False))
    config = Wav2Vec2ConformerConfig(
        hidden_size=16, num_attention_heads=2, intermediate_size=32, conv_depthwise_kernel_size=5,
        hidden_act="swish", position_embeddings_type="relative", attn_implementation="eager",
    )  # fmt: skip
    embedding = Wav2Vec2ConformerRelPositionalEmbedding(config)
    x = torch.randn(2, 33, 16)
    hidden = encoder(x, None, layers=[1, 2, 3]).layers
    expected = x
    for number, block in enumerate(encoder.blocks, 1):
        layer = Wav2Vec2ConformerEncoderLayer(config).eval()
        load(layer, transformers_names(block.state_dict()))
        expected = layer(expected, relative_position_embeddings=embedding(expected))
        expected = expected[0] if isinstance(expected, tuple) else expected
        torch.testing.assert_close(hidden[number], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_macaron_order_is_that_of_wav2vec2_bert():
    """Its depthwise convolution is causal; without a past (kernel 1) it is like ours."""
    conf = {"conv_norm": "layer", "conv_bias": False, "conv_kernel": 1, "attention_position": "none"}
    encoder = tiny_encoder("conformer", **conf)
    config = Wav2Vec2BertConfig(
        hidden_size=16, num_attention_heads=2, intermediate_size=32, conv_depthwise_kernel_size=1,
        hidden_act="swish", position_embeddings_type=None, attn_implementation="eager",
    )  # fmt: skip
    layer = Wav2Vec2BertEncoderLayer(config).eval()
    state = transformers_names(encoder.blocks[0].state_dict())
    load(
        layer,
        {key.replace("conv_module.batch_norm", "conv_module.depthwise_layer_norm"): v for key, v in state.items()},
    )
    x = torch.randn(2, 20, 16)
    expected = layer(x)
    expected = expected[0] if isinstance(expected, tuple) else expected
    torch.testing.assert_close(encoder(x, None, layers=[1]).layers[1], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("training", [False, True])
def test_conformer_is_that_of_torchaudio(norm, training):
    encoder = with_statistics(tiny_encoder("conformer", conv_norm=norm, attention_position="none")).train(training)
    other = torchaudio.models.Conformer(16, 2, 32, 3, 5, use_group_norm=norm == "group").train(training)
    for block, layer in zip(encoder.blocks, other.conformer_layers, strict=True):
        load(layer, torchaudio_names(block.state_dict()))
    x, lengths = torch.randn(2, 20, 16), torch.tensor([20, 20])
    output, (expected, _) = encoder(x, None).last, other(x, lengths)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    output.square().sum().backward()
    expected.square().sum().backward()
    for block, layer in zip(encoder.blocks, other.conformer_layers, strict=True):
        gradients = torchaudio_names({key: parameter.grad for key, parameter in block.named_parameters()})
        for key, parameter in layer.named_parameters():
            torch.testing.assert_close(gradients[key], parameter.grad, atol=1e-4, rtol=1e-4)
    if training and norm == "batch":  # ours move after the step, to the same place
        encoder.after_step(1)
        for block, layer in zip(encoder.blocks, other.conformer_layers, strict=True):
            moved = torchaudio_names(block.state_dict())
            for key, buffer in layer.named_buffers():
                if "running" in key:
                    torch.testing.assert_close(moved[key], buffer, atol=1e-5, rtol=1e-5)


def buffers(encoder: ConformerEncoder) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in encoder.named_buffers() if "running" in key}


def test_a_skipped_step_leaves_no_trace():
    encoder = tiny_encoder("conformer", conv_norm="batch").train()
    x = torch.randn(2, 20, 16)
    before = buffers(encoder)
    encoder.before_update(1)
    encoder(x, None)  # this step is skipped: no after_step
    for key, value in buffers(encoder).items():
        assert torch.equal(value, before[key])
    encoder.before_update(2)
    encoder(2 * x, None)
    encoder.after_step(2)
    other = tiny_encoder("conformer", conv_norm="batch").train()
    other.before_update(1)
    other(2 * x, None)
    other.after_step(1)
    for key, value in buffers(encoder).items():
        assert torch.equal(value, buffers(other)[key]) and not torch.equal(value, before[key])
    encoder.after_step(3)  # nothing was gathered
    assert all(torch.equal(value, buffers(other)[key]) for key, value in buffers(encoder).items())


def test_evaluation_gathers_nothing():
    encoder = tiny_encoder("conformer", conv_norm="batch")
    before = buffers(encoder)
    encoder(torch.randn(2, 20, 16), None)
    encoder.after_step(1)
    assert all(torch.equal(value, before[key]) for key, value in buffers(encoder).items())


def test_defaults_and_sizes():
    config = parse_config(ConformerEncoder.Config, {}, "encoder_conf")
    assert (config.position, config.attention_position, config.layerdrop) == ("none", "relative", 0.0)
    with pytest.raises(UserError, match="conv_kernel is 32; expected an odd number"):
        parse_config(ConformerEncoder.Config, tiny_conf("conformer", conv_kernel=32), "encoder_conf")
