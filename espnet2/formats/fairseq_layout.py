"""How fairseq, s3prl and WavLM's own code lay out the settings and weights of a model."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet2.formats import names
from espnet2.formats.canonical import old_weight_norm, rename
from espnet2.formats.forms import Source, conv_layers, is_pre_norm
from espnet2.ssl.encoder.stack_config import StackConfig
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.ssl.objective.hubert import HubertConfig
from espnet2.ssl.objective.wav2vec2 import Wav2Vec2Config

HEADLESS = ("wavlm", "data2vec")  # no place for our heads in these
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")  # the first entries of every dictionary of fairseq


@dataclass(frozen=True)
class Layout:
    """What goes into a file."""

    kind: str  # hubert, wav2vec2, wavlm, data2vec, data2vec2
    task: dict[str, object]
    model: dict[str, object]
    weights: dict[str, Tensor]
    left_out: list[str]
    symbols: list[str]  # of the labels; none where there are no labels


def lacks_projection(frontend: ConvFrontend.Config, encoder: StackConfig) -> list[str]:
    """fairseq has no projection between equal widths."""
    same = frontend.channels == encoder.dim
    return ["frontend_conf: channels equal to encoder_conf: dim (no projection there)"] if same else []


def lacks_small_kernels(frontend: ConvFrontend.Config, encoder: StackConfig) -> list[str]:
    """A stack of positions is given by its whole width there, in at least two convolutions of at least 3 frames."""
    missing = [] if encoder.position_kernel >= 3 else [f"encoder_conf: position_kernel: {encoder.position_kernel}"]
    return missing + ([] if encoder.position_depth > 1 else ["encoder_conf: position_depth: 1"])


def to_layout(source: Source, form: str) -> Layout:
    """Convert."""
    kind = {"wav2vec2": "hubert" if source.objective == "hubert" else "wav2vec2"}.get(form, form)
    weights = source.weights(qkv=kind == "data2vec2")
    if kind == "data2vec2":
        return _data2vec2(source, weights)
    norm = source.frontend.norm
    table = names.fairseq_hubert(norm) if kind == "hubert" else names.fairseq(norm, stack=kind == "data2vec")
    model, symbols = _model_settings(source), []
    if kind == "hubert":
        conf = source.conf
        assert isinstance(conf, HubertConfig) and conf.num_classes is not None
        symbols = [*SPECIAL_SYMBOLS, *map(str, range(conf.num_classes))]
        model |= {"label_rate": source.model.frontend.geometry.frame_rate, "final_dim": conf.label_dim}
        model |= {"untie_final_proj": False, "logit_temp": conf.temperature}
        embeddings = weights["objective.head.label_embeddings"]
        special = torch.zeros(len(SPECIAL_SYMBOLS), embeddings.size(1))
        weights["objective.head.label_embeddings"] = torch.cat([special, embeddings])
    elif kind == "wavlm":
        model |= {"relative_position_embedding": True, "gru_rel_pos": True}
        model |= {"num_buckets": source.encoder.num_buckets, "max_distance": source.encoder.max_distance}
    elif kind == "data2vec":
        depth = source.encoder.position_depth
        model |= {"pos_conv_depth": depth, "conv_pos": depth * source.encoder.position_kernel}
    else:
        model |= _quantizer_settings(source)
    if kind in HEADLESS:
        table = {ours: theirs for ours, theirs in table.items() if not ours.startswith("objective.head.")}
    renamed, left = rename(weights, table)
    renamed |= _idle_projections(source, kind, renamed)
    return Layout(kind, _task_settings(source, kind), model, old_weight_norm(renamed), left, symbols)


def _model_settings(source: Source) -> dict[str, object]:
    """What all models of fairseq have."""
    frontend, encoder = source.frontend, source.encoder
    return {
        "extractor_mode": "layer_norm" if frontend.norm == "layer" else "default",
        "conv_feature_layers": str(conv_layers(frontend)),
        "conv_bias": frontend.bias,
        "feature_grad_mult": frontend.feature_grad_mult,
        "encoder_layers": encoder.num_layers,
        "encoder_embed_dim": encoder.dim,
        "encoder_ffn_embed_dim": encoder.ffn_dim,
        "encoder_attention_heads": encoder.num_heads,
        "activation_fn": "gelu",
        "layer_norm_first": is_pre_norm(encoder),
        "conv_pos": encoder.position_kernel,
        "conv_pos_groups": encoder.position_groups,
        "dropout": encoder.dropout,
        "attention_dropout": encoder.attention_dropout,
        "activation_dropout": encoder.activation_dropout,
        "encoder_layerdrop": encoder.layerdrop,
        "dropout_input": frontend.dropout,
    }


def _quantizer_settings(source: Source) -> dict[str, object]:
    """Of wav2vec 2.0; another method's encoder has no quantizer."""
    conf = source.conf
    if source.objective != "wav2vec2":
        return {"quantize_targets": False, "final_dim": 1}
    assert isinstance(conf, Wav2Vec2Config)
    return {
        "quantize_targets": True, "latent_vars": conf.num_codes, "latent_groups": conf.num_groups,
        "latent_dim": conf.code_dim, "final_dim": conf.final_dim, "num_negatives": conf.num_negatives,
        "logit_temp": conf.temperature,
    }  # fmt: skip


def _task_settings(source: Source, kind: str) -> dict[str, object]:
    """How waveforms and labels are read."""
    frontend = source.frontend
    task: dict[str, object] = {"sample_rate": frontend.sample_rate, "normalize": frontend.normalize == "utterance"}
    if kind == "hubert":
        task |= {"_name": "hubert_pretraining", "labels": ["km"], "fine_tuning": False, "single_target": False}
        return task | {"label_rate": source.model.frontend.geometry.frame_rate}
    return task | {"_name": "audio_pretraining"}


def _idle_projections(source: Source, kind: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Heads that a class of fairseq has in any case: zeros where the model has none."""
    dim, features = source.encoder.dim, source.frontend.channels
    shapes: dict[str, dict[str, tuple[int, int]]]
    shapes = {"wav2vec2": {"final_proj": (1, dim), "project_q": (1, features)}, "data2vec": {"final_proj": (dim, dim)}}
    idle: dict[str, Tensor] = {}
    for name, shape in shapes.get(kind, {}).items():
        if f"{name}.weight" not in weights:
            idle |= {f"{name}.weight": torch.zeros(shape), f"{name}.bias": torch.zeros(shape[0])}
    return idle


def _data2vec2(source: Source, weights: dict[str, Tensor]) -> Layout:
    """One modality, audio; all blocks belong to all modalities, which is the same function."""
    frontend, encoder = source.frontend, source.encoder
    scale = "encoder.attention_position.scale"
    weights.setdefault(scale, torch.ones(1, 1, encoder.num_heads, 1, 1))
    table = names.fairseq_data2vec2(
        frontend.norm, is_pre_norm(encoder), position_depth=encoder.position_depth, num_layers=encoder.num_layers,
        prenet_depth=0,
    )  # fmt: skip
    renamed, left = rename(weights, table)
    audio: dict[str, object] = {
        "type": "AUDIO", "prenet_depth": 0, "extractor_mode": _model_settings(source)["extractor_mode"],
        "feature_encoder_spec": str(conv_layers(frontend)), "conv_pos_depth": encoder.position_depth,
        "conv_pos_width": encoder.position_depth * encoder.position_kernel, "conv_pos_groups": encoder.position_groups,
        "conv_pos_pre_ln": False, "use_alibi_encoder": True, "alibi_scale": 1.0, "learned_alibi": False,
        "learned_alibi_scale": encoder.alibi_learned_scale, "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False, "num_extra_tokens": 0, "local_grad_mult": frontend.feature_grad_mult,
    }  # fmt: skip
    model: dict[str, object] = {
        "depth": encoder.num_layers, "num_heads": encoder.num_heads, "embed_dim": encoder.dim, "norm_eps": 1e-5,
        "norm_affine": True, "mlp_ratio": encoder.ffn_dim / encoder.dim, "layer_norm_first": is_pre_norm(encoder),
        "encoder_dropout": encoder.dropout, "attention_dropout": encoder.attention_dropout, "skip_ema": True,
        "activation_dropout": encoder.activation_dropout, "post_mlp_drop": encoder.dropout,
        "layerdrop": encoder.layerdrop, "supported_modality": "AUDIO", "modalities": {"audio": audio},
    }  # fmt: skip
    return Layout("data2vec2", _task_settings(source, "data2vec2"), model, renamed, left, [])
