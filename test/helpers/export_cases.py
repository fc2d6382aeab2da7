"""A folder and a few keys in, an experiment with weights that are no special values out, for conversions."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tiny_units import write_experiment

LARGE = {  # Large models: LayerNorm in all convolutions, biases, pre-LN, scaled waveforms
    "frontend_conf": {"norm": "layer", "bias": True, "normalize": "utterance"},
    "encoder_conf": {"norm": "pre"},
}
STACK = {
    "frontend_conf": {"norm": "layer"},
    "encoder_conf": {"position": "conv_stack", "position_depth": 2, "position_kernel": 5},
}


def write_random(folder: Path, objective: str = "hubert", **options: Any) -> Path:
    """exp/<name> of a tiny model of convolutions and blocks, every weight moved from where it started.

    Args:
        options: of `tiny_config`.
    """
    write_experiment(folder, objective, **{"frontend": "conv", **options})
    path = folder / "checkpoints/update_1/model.safetensors"
    weights, generator = load_file(path), torch.Generator().manual_seed(1)
    for value in weights.values():
        if value.is_floating_point():
            value += 0.05 * torch.randn(value.shape, generator=generator)
    save_file(weights, path)
    return folder


def same_weights(one: Path, other: Path) -> tuple[set[str], set[str]]:
    """Names of weights that are equal to the last bit in both experiments, and of the others of the first."""
    weights = [load_file(path) for path in (one, other)]
    same = {
        name
        for name, value in weights[0].items()
        if name in weights[1] and value.shape == weights[1][name].shape and torch.equal(value, weights[1][name])
    }
    return same, weights[0].keys() - same


def read_card(folder: Path) -> dict[str, Any]:
    """conversion.json."""
    return json.loads((folder / "conversion.json").read_text(encoding="utf-8"))
