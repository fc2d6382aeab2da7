"""Weights and config.yaml of a model of ESPnet's own ssl1 in, the config and canonical weights of one of ours out."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from espnet2.formats import names
from espnet2.formats.canonical import modern_weight_norm, rename, reverse
from espnet2.formats.incoming import Foreign, Values, frontend_values, model_values
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

NORM_EPS = 1e-12  # of espnet.nets.pytorch_backend.transformer.layer_norm, in the blocks and after them
# What ESPnet's classes take where config.yaml says nothing (release 202511).
FRONTEND: dict[str, object] = {
    "shapes": [[512, 10, 5], *[[512, 3, 2]] * 4, *[[512, 2, 2]] * 2],
    "fs": 16000,
    "normalize_audio": False,
    "normalize_output": False,
}
_EVERY_ENCODER: dict[str, object] = {
    "output_size": 256,
    "attention_heads": 4,
    "linear_units": 2048,
    "num_blocks": 6,
    "dropout_rate": 0.1,
    "attention_dropout_rate": 0.0,
    "input_layer": "conv2d",
    "layer_drop_rate": 0.0,
    "normalize_before": True,
}
ENCODERS: dict[str, dict[str, object]] = {
    "transformer": {**_EVERY_ENCODER, "pos_enc_layer_type": "abs_pos"},
    "e_branchformer": {
        **_EVERY_ENCODER, "attention_layer_type": "rel_selfattn", "pos_enc_layer_type": "rel_pos",
        "rel_pos_type": "latest", "cgmlp_linear_units": 2048, "cgmlp_conv_kernel": 31, "num_blocks": 12,
        "use_ffn": False, "macaron_ffn": False, "merge_conv_kernel": 3,
    },
    "conformer": {
        **_EVERY_ENCODER, "selfattention_layer_type": "rel_selfattn", "pos_enc_layer_type": "rel_pos",
        "rel_pos_type": "legacy", "macaron_style": False, "cnn_module_kernel": 31,
    },
}  # fmt: skip
ATTENTION_KEYS = {"e_branchformer": "attention_layer_type", "conformer": "selfattention_layer_type"}
# The values with a form here; a key that is absent has one of them.
SUPPORTED: dict[str, Sequence[object]] = {
    "input_size": (None,),
    "frontend": ("wav2vec_cnn",),
    "normalize": (None,),
    "preencoder": ("linear",),
    "encoder": tuple(ENCODERS),
    "frontend_conf.norm_mode": ("group_norm", "layer_norm"),
    "frontend_conf.conv_mode": ("standard",),
    "encoder_conf.qk_norm": (False,),
    "encoder_conf.concat_after": (False,),
    "encoder_conf.zero_triu": (False,),
    "encoder_conf.positionwise_layer_type": ("linear",),
    "encoder_conf.interctc_use_conditioning": (False,),
}
SUPPORTED_BY_ENCODER: dict[str, dict[str, Sequence[object]]] = {
    "transformer": {"encoder_conf.input_layer": ("wav2vec", None)},
    "e_branchformer": {
        # The branch that XEUS was trained with knows wav2vec, too: positions, and dropout after them.
        "encoder_conf.input_layer": (None, "wav2vec"),
        "encoder_conf.use_ffn": (True,),
        "encoder_conf.macaron_ffn": (True,),
        "encoder_conf.ffn_activation_type": ("swish",),
        "encoder_conf.use_linear_after_conv": (False,),
        "encoder_conf.gate_activation": ("identity",),
    },
    "conformer": {
        "encoder_conf.input_layer": (None,),
        "encoder_conf.normalize_before": (True,),
        "encoder_conf.macaron_style": (True,),
        "encoder_conf.use_cnn_module": (True,),
        "encoder_conf.activation_type": ("swish",),
    },
}
BLOCKS = "encoder.encoders."  # how names of their blocks begin
OURS = ("frontend.", "preencoder.", "encoder.")  # names of weights that must find a place here


def is_ssl1(state: Mapping[str, Tensor]) -> bool:
    """Whether these are names of ESPnet's ssl1."""
    return any(name.startswith(BLOCKS) for name in state)


def settings_of(config: Settings) -> Settings:
    """Their settings under dotted names, with ESPnet's defaults.

    Raises:
        UserError: a section is no mapping, or lacks what ESPnet has no default for.
    """
    sections = {key: config.section(key).values for key in ("frontend_conf", "preencoder_conf", "encoder_conf")}
    defaults = {"frontend_conf": FRONTEND, "encoder_conf": ENCODERS.get(str(config.get("encoder")), {})}
    settings = {key: config.get(key) for key in ("input_size", "frontend", "normalize", "preencoder", "encoder")}
    for key, section in sections.items():
        settings |= {f"{key}.{name}": value for name, value in {**defaults.get(key, {}), **section}.items()}
    needed = ["preencoder_conf.output_size"] if settings["preencoder"] == "linear" else []
    needed += [f"frontend_conf.{name}" for name in ("norm_mode", "bias") if settings["frontend"] == "wav2vec_cnn"]
    absent = [key for key in needed if key not in settings]
    if absent:
        raise UserError(f"{config.where} does not say {', '.join(absent)}; ESPnet has no default for it")
    return Settings(settings, config.where)


def read(state: Mapping[str, Tensor], config: Settings, where: str | Path) -> Foreign:
    """Read.

    Args:
        state: their state dict.
        config: their config.yaml.

    Raises:
        UserError: it has no form here; the message names every key of the config that stands in the way.
    """
    settings = settings_of(config)
    wrong = _without_form(settings)
    if wrong:
        raise UserError(f"{where}: this model of ESPnet's ssl1 has no form here: {'; '.join(wrong)}")
    kind = settings.text("encoder")
    counters = [name for name in state if name.endswith("num_batches_tracked")]  # of batch norm: they do nothing
    state = {name: value for name, value in state.items() if name not in counters}
    weights, left = rename(modern_weight_norm(state), reverse(names.espnet_ssl1(kind)))
    lost = [name for name in left if name.startswith(OURS)]
    if lost:
        raise UserError(f"{where}: no form here for the weights {first_names(lost, 5)}")
    if _is_relative(settings):
        weights |= _scaled(weights, math.sqrt(settings.number("encoder_conf.output_size")))
    position: Values = _position(weights, where) if convolves(settings) else {"position": "none"}
    encoder = _every_encoder(settings) | position | _SPECIFIC[kind](settings)
    return Foreign(model_values(_frontend(settings), encoder, "hubert", weights, kind=kind), weights, left + counters)


def _without_form(settings: Settings) -> list[str]:
    """Every key in the way, with its value and what is expected."""
    kind, wrong = str(settings.get("encoder")), []
    for key, values in {**SUPPORTED, **SUPPORTED_BY_ENCODER.get(kind, {})}.items():
        if settings.get(key, values[0]) not in values:
            wrong.append(f"{key}: {settings.get(key)} (expected {' or '.join(map(str, values))})")
    if kind in ENCODERS:
        wrong += _positions_without_form(settings, kind)
        width, given = settings.get("encoder_conf.output_size"), settings.get("preencoder_conf.output_size")
        if settings.get("preencoder") == "linear" and given != width:
            wrong.append(f"preencoder_conf.output_size: {given} (expected the encoder's, {width})")
    return wrong


def _positions_without_form(settings: Settings, kind: str) -> list[str]:
    """Convolutions whose output replaces their input, and relative positions; a bare transformer has none."""
    position = settings.get("encoder_conf.pos_enc_layer_type")
    if kind == "transformer":
        fits = position == "conv" or settings.get("encoder_conf.input_layer") is None
        return [] if fits else [f"encoder_conf.pos_enc_layer_type: {position} (expected conv)"]
    key = f"encoder_conf.{ATTENTION_KEYS[kind]}"
    attention, relative = settings.get(key), settings.get("encoder_conf.rel_pos_type")
    if (attention, position) == ("selfattn", "conv") or _is_relative(settings):
        return []
    combination = f"{key}: {attention} with pos_enc_layer_type: {position}, rel_pos_type: {relative}"
    return [f"{combination} (expected selfattn with conv, or rel_selfattn with rel_pos, latest)"]


def convolves(settings: Settings) -> bool:
    """Whether positions are a convolution; a transformer without an input layer leaves them out."""
    bare = settings.get("encoder") == "transformer" and settings.get("encoder_conf.input_layer") is None
    return settings.get("encoder_conf.pos_enc_layer_type") == "conv" and not bare


def _is_relative(settings: Settings) -> bool:
    """Whether attention has the relative positions of Transformer-XL."""
    attention = settings.get(f"encoder_conf.{ATTENTION_KEYS.get(settings.text('encoder'), '')}")
    position, kind = settings.get("encoder_conf.pos_enc_layer_type"), settings.get("encoder_conf.rel_pos_type")
    return (attention, position, kind) == ("rel_selfattn", "rel_pos", "latest")


def _scaled(weights: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """ESPnet multiplies frames by sqrt(width) before relative positions: here in what makes these frames."""
    makers = ("frontend.projection.weight", "frontend.projection.bias", "objective.mask_embedding")
    return {name: weights[name] * factor for name in makers if name in weights}


def _frontend(settings: Settings) -> Values:
    return frontend_values(
        settings.conv_layers("frontend_conf.shapes"), settings.where,
        norm=settings.text("frontend_conf.norm_mode").removesuffix("_norm"), bias=settings.flag("frontend_conf.bias"),
        normalize=settings.flag("frontend_conf.normalize_audio"),
        projection_norm=settings.get("frontend_conf.normalize_output"),
        sample_rate=_hertz(settings.get("frontend_conf.fs")),
        dropout=settings.get("preencoder_conf.dropout", 0.0), feature_grad_mult=1.0,  # gradients are not scaled there
    )  # fmt: skip


def _hertz(rate: object) -> object:
    """ESPnet also writes 16k; anything else is left for the config to refuse."""
    return int(float(rate[:-1]) * 1000) if isinstance(rate, str) and rate[:-1].isdigit() and rate[-1] == "k" else rate


def _every_encoder(settings: Settings) -> Values:
    theirs = {
        "num_layers": "num_blocks", "dim": "output_size", "num_heads": "attention_heads", "ffn_dim": "linear_units",
        "dropout": "dropout_rate", "activation_dropout": "dropout_rate", "layerdrop": "layer_drop_rate",
        "attention_dropout": "attention_dropout_rate",
    }  # fmt: skip
    sizes: Values = {ours: settings.get(f"encoder_conf.{name}") for ours, name in theirs.items()}
    return sizes | {"norm_eps": NORM_EPS}


def _position(weights: Mapping[str, Tensor], where: str | Path) -> Values:
    """Their convolution, whose sizes no config tells."""
    directions = weights.get(f"{names.POSITION}.parametrizations.weight.original1")
    if directions is None or directions.ndim != 3:
        raise UserError(f"{where}: encoder.embed.0.convs.0 has no weight norm: no form here for such positions")
    dim, width, kernel = directions.shape
    sizes = {"position_kernel": kernel, "position_groups": dim // width}
    return {"position": "conv", "position_join": "replace", **sizes}


def _transformer(settings: Settings) -> Values:
    pre, bare = settings.flag("encoder_conf.normalize_before"), settings.get("encoder_conf.input_layer") is None
    outer = ("one" if bare else "both") if pre else "none"
    return {"norm": "pre" if pre else "post", "outer_norms": outer, "activation": "relu"}


def _macaron(settings: Settings) -> Values:
    return {"attention_position": "relative" if _is_relative(settings) else "none", "final_norm": True}


def _e_branchformer(settings: Settings) -> Values:
    return _macaron(settings) | {
        "cgmlp_dim": settings.get("encoder_conf.cgmlp_linear_units"),
        "cgmlp_conv_kernel": settings.get("encoder_conf.cgmlp_conv_kernel"),
        "merge_conv_kernel": settings.get("encoder_conf.merge_conv_kernel"),
    }


def _conformer(settings: Settings) -> Values:
    kernel = settings.get("encoder_conf.cnn_module_kernel")
    return _macaron(settings) | {"conv_kernel": kernel, "conv_norm": "batch", "conv_bias": True}


_SPECIFIC = {"transformer": _transformer, "e_branchformer": _e_branchformer, "conformer": _conformer}
