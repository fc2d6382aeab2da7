"""Wav2Vec2-Conformer of transformers: its last norm, its positions, and what its config says beyond wav2vec 2.0's."""

from collections.abc import Mapping

import torch
from torch import Tensor

from espnet2.formats import names
from espnet2.formats.forms import Source
from espnet2.formats.incoming import Values
from espnet2.formats.settings import Settings
from espnet2.ssl.encoder.conformer import ConformerEncoder
from espnet2.ssl.modules.rotary import rotary_frequencies
from espnet2.utils.errors import UserError

MODEL_TYPE = "wav2vec2-conformer"
POSITIONS = {"relative": "relative", "rotary": "rotary_input", None: "none"}  # theirs -> ours
LAST_NORM = "encoder.norm"  # theirs always; ours where `final_norm` asks for it


def weights_of(source: Source) -> dict[str, Tensor]:
    """Canonical weights as the class has them: with a norm after the last block, and positions that it never uses."""
    weights = source.weights()
    if f"{LAST_NORM}.weight" not in weights:
        weights = _last_norm_apart(weights, source.encoder.num_layers)
    if source.encoder.attention_position == "rotary_input":
        weights[names.ROTARY_FREQUENCIES] = rotary_frequencies(source.encoder.dim // source.encoder.num_heads)
    return weights | _unused_position(source)


def settings_of(source: Source) -> dict[str, object]:
    """What config.json says beyond wav2vec 2.0's."""
    encoder = source.encoder
    assert isinstance(encoder, ConformerEncoder.Config)
    theirs = {ours: name for name, ours in POSITIONS.items()}
    return {
        "conv_depthwise_kernel_size": encoder.conv_kernel,
        "position_embeddings_type": theirs[encoder.attention_position],
        "hidden_act": "swish",
        "conformer_conv_dropout": encoder.dropout,
    }


def read_weights(weights: Mapping[str, Tensor], settings: Settings) -> dict[str, Tensor]:
    """The way back from `weights_of`; a last norm that was trained beside the last block's stays one of its own.

    Raises:
        UserError: the file has rotary frequencies of its own.
    """
    unused = (names.POSITION, names.ROTARY_FREQUENCIES)
    kept = {
        name: value
        for name, value in weights.items()
        if not name.startswith(unused) and not name.endswith("num_batches_tracked")
    }
    num_layers, head_dim = settings.whole("num_hidden_layers"), _head_dim(settings)
    frequencies = weights.get(names.ROTARY_FREQUENCIES)
    expected = rotary_frequencies(head_dim)
    if frequencies is not None and not _same(frequencies, expected):
        raise UserError(
            f"{settings.where}: the weights hold rotary frequencies that are not 10000 ** (-2 i / {head_dim})"
        )
    last = f"encoder.blocks.{num_layers - 1}.norm"
    weight, bias = weights.get(f"{last}.weight"), weights.get(f"{last}.bias")
    if weight is None or bias is None or not ((weight == 1).all() and (bias == 0).all()):
        return kept
    moved = {f"{last}.{kind}": kept.pop(f"{LAST_NORM}.{kind}") for kind in ("weight", "bias")}
    return kept | moved


def _head_dim(settings: Settings) -> int:
    return settings.whole("hidden_size") // settings.whole("num_attention_heads")


def _same(frequencies: Tensor, expected: Tensor) -> bool:
    return frequencies.shape == expected.shape and torch.allclose(frequencies.float(), expected, rtol=1e-5, atol=0)


def values_of(settings: Settings, weights: Mapping[str, Tensor]) -> Values:
    """`encoder_conf` beyond wav2vec 2.0's.

    Args:
        weights: of `read_weights`.

    Raises:
        UserError: positions without a form here.
    """
    kind = settings.get("position_embeddings_type", "relative")
    if kind not in POSITIONS:
        known = ", ".join("null" if name is None else name for name in POSITIONS)
        raise UserError(f"{settings.where}: position_embeddings_type {kind} has no form here; expected one of {known}")
    values: Values = {"position": "none", "attention_position": POSITIONS[kind], "conv_norm": "batch"}
    values |= {"conv_bias": False, "conv_kernel": settings.whole("conv_depthwise_kernel_size", 31)}
    return values | ({"final_norm": True} if f"{LAST_NORM}.weight" in weights else {})


def _last_norm_apart(weights: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """The conformer there ends in one more LayerNorm: it takes the weights of the last block's, which becomes plain.

    A LayerNorm of what is normalised already changes nothing but by its epsilon, about 1e-5 of the value.
    """
    last = f"encoder.blocks.{num_layers - 1}.norm"
    moved = {f"{LAST_NORM}.{kind}": weights[f"{last}.{kind}"] for kind in ("weight", "bias")}
    plain = {f"{last}.weight": torch.ones_like(moved[f"{LAST_NORM}.weight"])}
    plain[f"{last}.bias"] = torch.zeros_like(moved[f"{LAST_NORM}.bias"])
    return {**weights, **plain, **moved}


def _unused_position(source: Source) -> dict[str, Tensor]:
    """Convolutional positions that the conformer class of transformers has and never uses."""
    dim, kernel = source.encoder.dim, source.encoder.position_kernel
    prefix = f"{names.POSITION}.parametrizations.weight"
    return {
        f"{prefix}.original0": torch.zeros(1, 1, kernel),
        f"{prefix}.original1": torch.ones(dim, dim // source.encoder.position_groups, kernel),
        f"{names.POSITION}.bias": torch.zeros(dim),
    }
