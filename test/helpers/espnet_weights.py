"""A kind of encoder and a few keys in, config.yaml and weights of a tiny model of ESPnet's ssl1, by its names, out."""

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

DIM, FFN, LAYERS, GATE, CHANNELS = 32, 24, 2, 20, 8
KERNEL, GROUPS = 128, 16  # of positions, which no key of ESPnet changes
STRIDES = [[10, 5], *[[3, 2]] * 4, *[[2, 2]] * 2]
PLAIN = {"norm_mode": "group_norm", "conv_mode": "standard", "bias": False}
SCALED = {  # everything that the frontend can do otherwise
    "norm_mode": "layer_norm", "conv_mode": "standard", "bias": True, "normalize_audio": True, "normalize_output": True,
    "fs": "16k", "layer_norm_cls": "dim1",
}  # fmt: skip
CONV = {"pos_enc_layer_type": "conv"}
MACARON = {
    "use_ffn": True, "macaron_ffn": True, "input_layer": None, "cgmlp_linear_units": GATE, "cgmlp_conv_kernel": 5,
}  # fmt: skip
CONFORMER = {"input_layer": None, "macaron_style": True, "cnn_module_kernel": 5}
# Name -> encoder, encoder_conf, frontend_conf.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "post": ("transformer", {**CONV, "input_layer": "wav2vec", "normalize_before": False}, PLAIN),
    "pre": ("transformer", {**CONV, "input_layer": "wav2vec"}, SCALED),
    "bare": ("transformer", {"input_layer": None}, PLAIN),
    "xeus": ("e_branchformer", {**CONV, **MACARON, "attention_layer_type": "selfattn"}, SCALED),
    "e_branchformer": ("e_branchformer", MACARON, PLAIN),
    "conformer": ("conformer", {**CONFORMER, "rel_pos_type": "latest"}, SCALED),
    "conformer_conv": ("conformer", {**CONFORMER, **CONV, "selfattention_layer_type": "selfattn"}, PLAIN),
}


def ssl1_config(case: str, **changes: Any) -> dict[str, Any]:
    """What ESPnet writes into config.yaml, as far as it matters.

    Args:
        changes: of sections (`encoder_conf={"qk_norm": True}`) or other keys.
    """
    encoder, case_conf, frontend = CASES[case]
    sizes = {"output_size": DIM, "attention_heads": 2, "linear_units": FFN, "num_blocks": LAYERS}
    config: dict[str, Any] = {
        "input_size": None, "frontend": "wav2vec_cnn", "specaug": None, "normalize": None, "preencoder": "linear",
        "frontend_conf": {**frontend, "shapes": [[CHANNELS, *layer] for layer in STRIDES]},
        "preencoder_conf": {"output_size": DIM}, "encoder": encoder, "encoder_conf": {**sizes, **case_conf},
        "loss": [{"name": "hubert", "conf": {"num_classes": 5, "final_dim": 8}}],
        "util": [{"name": "mask", "conf": {}}], "model": "espnet", "model_conf": {}, "init": None,
        "token_list": ["a", "b"],
    }  # fmt: skip
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    return config


def ssl1_state(case: str) -> dict[str, Tensor]:
    """Weights that are no special values, the same on every machine."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for name, shape in sorted(_shapes(case).items()):
        value = torch.randn(shape, generator=generator)
        last = name.rpartition(".")[2]
        if last in ("running_var", "original0"):
            value = 0.5 + value.abs()
        elif last == "weight" and len(shape) == 1:
            value = 1 + 0.2 * value
        elif len(shape) > 1:
            value = value / shape[1:].numel() ** 0.5
        state[name] = value
    counters = [name.replace("running_mean", "num_batches_tracked") for name in state if name.endswith("running_mean")]
    return {**state, **{name: torch.tensor(3) for name in counters}, "global_step": torch.tensor([9])}


def write_ssl1(folder: Path, case: str, *, name: str = "valid.loss.best.pth", **changes: Any) -> Path:
    """The folder with config.yaml and weights; returns the file of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(ssl1_config(case, **changes)), encoding="utf-8")
    torch.save(ssl1_state(case), folder / name)
    return folder / name


def _shapes(case: str) -> dict[str, torch.Size]:
    encoder, conf, frontend = CASES[case]
    shapes: dict[str, tuple[int, ...]] = {"util_modules.mask.mask_embedding": (DIM,)}
    for number, (kernel, _) in enumerate(STRIDES):
        layer = f"frontend.layers.{number}"
        shapes[f"{layer}.conv.weight"] = (CHANNELS, CHANNELS if number else 1, kernel)
        if frontend["bias"]:
            shapes[f"{layer}.conv.bias"] = (CHANNELS,)
        if number == 0 or frontend["norm_mode"] == "layer_norm":
            shapes |= _norm(f"{layer}.layer_norm", CHANNELS)
    if frontend.get("normalize_output"):
        shapes |= _norm("frontend.final_norm", CHANNELS)
    shapes |= _linear("preencoder.linear_out", CHANNELS, DIM)
    shapes |= _linear("losses.0.decoder.final_proj", DIM, 8) | _linear("losses.0.decoder.label_embeddings", 8, 5)
    if "pos_enc_layer_type" in conf:
        position = "encoder.embed.0.convs.0"
        shapes |= {f"{position}.bias": (DIM,), f"{position}.parametrizations.weight.original0": (1, 1, KERNEL)}
        shapes[f"{position}.parametrizations.weight.original1"] = (DIM, DIM // GROUPS, KERNEL)
    if case == "pre":
        shapes |= _norm("encoder.embed.1", DIM)
    if case != "post":
        shapes |= _norm("encoder.after_norm", DIM)
    for number in range(LAYERS):
        block = _TRANSFORMER if encoder == "transformer" else _MACARON | _BLOCKS[encoder]
        relative = encoder != "transformer" and "pos_enc_layer_type" not in conf
        block = block | _attention("attn" if encoder == "e_branchformer" else "self_attn", relative=relative)
        shapes |= {f"encoder.encoders.{number}.{name}": shape for name, shape in block.items()}
    return {name: torch.Size(shape) for name, shape in shapes.items()}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _conv(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, kernel), f"{name}.bias": (outputs,)}


def _feed_forward(name: str) -> dict[str, tuple[int, ...]]:
    return _linear(f"{name}.w_1", DIM, FFN) | _linear(f"{name}.w_2", FFN, DIM)


def _attention(name: str, *, relative: bool) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for part in ("q", "k", "v", "out"):
        shapes |= _linear(f"{name}.linear_{part}", DIM, DIM)
    if relative:
        shapes |= {f"{name}.linear_pos.weight": (DIM, DIM)}
        shapes |= {f"{name}.pos_bias_u": (2, DIM // 2), f"{name}.pos_bias_v": (2, DIM // 2)}
    return shapes


_TRANSFORMER = _feed_forward("feed_forward") | _norm("norm1", DIM) | _norm("norm2", DIM)
_MACARON = _feed_forward("feed_forward") | _feed_forward("feed_forward_macaron")
for _name in ("norm_ff", "norm_ff_macaron", "norm_mha", "norm_final"):
    _MACARON |= _norm(_name, DIM)
_BLOCKS = {
    "e_branchformer": {
        **_norm("norm_mlp", DIM), **_linear("cgmlp.channel_proj1.0", DIM, GATE), **_norm("cgmlp.csgu.norm", GATE // 2),
        **_conv("cgmlp.csgu.conv", 1, GATE // 2, 5), **_linear("cgmlp.channel_proj2", GATE // 2, DIM),
        **_conv("depthwise_conv_fusion", 1, 2 * DIM, 3), **_linear("merge_proj", 2 * DIM, DIM),
    },
    "conformer": {
        **_norm("norm_conv", DIM), **_conv("conv_module.pointwise_conv1", DIM, 2 * DIM, 1),
        **_conv("conv_module.depthwise_conv", 1, DIM, 5), **_norm("conv_module.norm", DIM),
        "conv_module.norm.running_mean": (DIM,), "conv_module.norm.running_var": (DIM,),
        **_conv("conv_module.pointwise_conv2", DIM, DIM, 1),
    },
}  # fmt: skip
