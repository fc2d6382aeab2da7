"""Our WavLM state dict in, the names of transformers and torchaudio out: used to compare models with equal weights."""

import re
from collections.abc import Mapping

import torch
from hubert_weights import to_torchaudio, to_transformers
from torch import Tensor

GATES = {
    r"attention\.position\.linear\.": "attention.gru_rel_pos_linear.",
    r"attention\.position\.scale$": "attention.gru_rel_pos_const",
}


def to_transformers_wavlm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `transformers.WavLMModel`."""
    renamed = _gates(to_transformers(_as_hubert(state)))
    renamed["encoder.layers.0.attention.rel_attn_embed.weight"] = renamed.pop("encoder.attention_position.table")
    return renamed


def to_torchaudio_wavlm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `torchaudio.models.wavlm_model`, which has neither head nor mask vector."""
    encoder = {name: value for name, value in _as_hubert(state).items() if not name.startswith("objectives.")}
    renamed = {name.removeprefix("wav2vec2."): value for name, value in _gates(to_torchaudio(encoder)).items()}
    layers = "encoder.transformer.layers"
    renamed[f"{layers}.0.attention.rel_attn_embed.weight"] = renamed.pop("encoder.attention_position.table")
    for name in [name for name in renamed if ".attention.q_proj." in name]:
        layer, kind = name.split(".attention.q_proj.")
        parts = [renamed.pop(f"{layer}.attention.{letter}_proj.{kind}") for letter in "qkv"]
        renamed[f"{layer}.attention.attention.in_proj_{kind}"] = torch.cat(parts)
        output = renamed.pop(f"{layer}.attention.out_proj.{kind}")
        renamed[f"{layer}.attention.attention.out_proj.{kind}"] = output
    return renamed


def _as_hubert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("objectives.wavlm.", "objectives.hubert."): value for name, value in state.items()}


def _gates(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in state.items():
        for ours, theirs in GATES.items():
            name = re.sub(ours, theirs, name)
        renamed[name] = value[None, :, None, None] if name.endswith("gru_rel_pos_const") else value
    return renamed
