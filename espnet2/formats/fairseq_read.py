"""Settings and weights as fairseq lays them out in, the config and canonical weights of a model of ours out."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from espnet2.formats import names, torchaudio
from espnet2.formats.canonical import modern_weight_norm, rename, reverse
from espnet2.formats.compare import OtherSide, layer_norm, our_states
from espnet2.formats.fairseq_layout import HEADLESS, SPECIAL_SYMBOLS
from espnet2.formats.forms import FORMS, Source
from espnet2.formats.incoming import Foreign, Values, build_imported, frontend_values, model_values, require
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError

PROJECTION = "frontend.projection"
MAXIMUM_LAYERS = 64  # of convolutions in a description


def from_layout(
    model: Mapping[str, object],
    task: Mapping[str, object],
    state: Mapping[str, Tensor],
    where: str | Path,
    symbols: Sequence[str] | None = None,
) -> Foreign:
    """Read.

    Args:
        model, task: settings; those that are absent are fairseq's defaults for Base models.
        symbols: of the labels, where the file has them; a dictionary of fairseq begins with SPECIAL_SYMBOLS.

    Raises:
        UserError: no form here.
    """
    state = {name.removeprefix("w2v_encoder.").removeprefix("w2v_model."): value for name, value in state.items()}
    kind = _kind(state, where)
    settings, reading = Settings(model, where), Settings(task, where)
    require(model, {"activation_fn": "gelu", "layer_type": "transformer", "conv_pos_pre_ln": False}, where)
    if kind == "data2vec2":
        return _from_data2vec2(settings, reading, state)
    norm = "layer" if model.get("extractor_mode", "default") == "layer_norm" else "group"
    table = names.fairseq_hubert(norm) if kind == "hubert" else names.fairseq(norm, stack=kind == "data2vec")
    if kind in HEADLESS or (kind == "wav2vec2" and "quantizer.vars" not in state):
        table = {ours: theirs for ours, theirs in table.items() if not ours.startswith("objective.head.")}
    weights, left = rename(modern_weight_norm(state), reverse(table))
    dim, embeddings = settings.whole("encoder_embed_dim", 768), weights.get("objective.head.label_embeddings")
    if f"{PROJECTION}.weight" not in weights:
        weights |= {f"{PROJECTION}.weight": torch.eye(dim), f"{PROJECTION}.bias": torch.zeros(dim)}
    if embeddings is not None:
        special = len(SPECIAL_SYMBOLS) if symbols is None or list(symbols[:4]) == list(SPECIAL_SYMBOLS) else 0
        weights["objective.head.label_embeddings"] = embeddings[special:]
    frontend = _frontend(settings.get("conv_feature_layers"), norm, settings.flag("conv_bias"), reading)
    width = settings.whole("conv_pos", 128)
    encoder: Values = {
        "num_layers": settings.whole("encoder_layers", 12),
        "dim": dim,
        "num_heads": settings.whole("encoder_attention_heads", 12),
        "ffn_dim": settings.whole("encoder_ffn_embed_dim", 3072),
        "position_kernel": width,
        "position_groups": settings.whole("conv_pos_groups", 16),
        "norm": "pre" if settings.flag("layer_norm_first") else "post",
    }
    if kind == "data2vec":
        depth = settings.whole("pos_conv_depth", 5)
        encoder |= {"position": "conv_stack", "position_depth": depth, "layerdrop": 0.0}
        encoder |= {"position_kernel": max(3, width // depth)}
    if kind == "wavlm":
        encoder |= {"attention_position": "gated_relative", "num_buckets": settings.whole("num_buckets", 320)}
        encoder |= {"max_distance": settings.whole("max_distance", 1280)}  # the class's own default
    objective = {"data2vec": "data2vec2"}.get(kind, kind)
    return Foreign(model_values(frontend, encoder, objective, weights), weights, left)


def _from_data2vec2(model: Settings, task: Settings, state: Mapping[str, Tensor]) -> Foreign:
    audio = model.section("modalities").section("audio")
    require(
        {**audio.values, "norm_eps": model.get("norm_eps", 1e-6)},
        {"norm_eps": 1e-5, "learned_alibi": False, "num_extra_tokens": 0, "conv_pos_pre_ln": False,
         "use_alibi_encoder": True, "learned_alibi_scale_per_layer": False},
        model.where,
    )  # fmt: skip
    norm = "layer" if audio.get("extractor_mode", "layer_norm") == "layer_norm" else "group"
    prenet, pre = audio.whole("prenet_depth", 4), model.flag("layer_norm_first")
    dim, depth = model.whole("embed_dim"), audio.whole("conv_pos_depth", 5)
    num_heads, num_layers = model.whole("num_heads"), model.whole("depth") + prenet
    sizes = {"position_depth": depth, "num_layers": num_layers, "prenet_depth": prenet}
    weights, left = rename(state, reverse(names.fairseq_data2vec2(norm, pre, **sizes)))
    scale = "encoder.attention_position.scale"
    weights[scale] = weights[scale].expand(1, 1, num_heads, 1, 1)
    learned = audio.flag("learned_alibi_scale") or not bool((weights[scale] == 1).all())
    if not learned:
        del weights[scale]
    frontend = _frontend(audio.get("feature_encoder_spec"), norm, False, task)
    encoder: Values = {
        "num_layers": num_layers, "dim": dim, "num_heads": num_heads, "norm": "pre" if pre else "post",
        "ffn_dim": round(dim * model.number("mlp_ratio", 4)), "position": "conv_stack", "position_depth": depth,
        "position_kernel": max(3, audio.whole("conv_pos_width", 95) // depth), "layerdrop": 0.0,
        "position_groups": audio.whole("conv_pos_groups", 16), "attention_position": "alibi",
        "alibi_learned_scale": learned,
    }  # fmt: skip
    return Foreign(model_values(frontend, encoder, "data2vec2", weights), weights, left)


def _kind(state: Mapping[str, Tensor], where: str | Path) -> str:
    """Which class of fairseq has such weights."""
    signs = {
        "modality_encoders.AUDIO.local_encoder.conv_layers.0.0.weight": "data2vec2",
        "encoder.layers.0.self_attn.grep_a": "wavlm",
        "encoder.pos_conv.0.0.weight": "data2vec",
        "quantizer.vars": "wav2vec2",
        "label_embs_concat": "hubert",
        "project_q.weight": "wav2vec2",
        "encoder.pos_conv.0.weight_v": "hubert",
    }
    kind = next((kind for name, kind in signs.items() if name in state), None)
    if kind is None:
        raise UserError(f"{where}: neither wav2vec 2.0, HuBERT, WavLM nor data2vec: no weight of theirs is in there")
    return kind


def _frontend(layers: object, norm: str, bias: bool, task: Settings) -> Values:
    text = layers or "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2"
    return frontend_values(
        parse_layers(str(text), task.where), task.where, norm=norm, bias=bias,
        normalize=task.flag("normalize", norm == "layer"), sample_rate=task.whole("sample_rate", 16000),
    )  # fmt: skip


def parse_layers(text: str, where: str | Path) -> list[tuple[int, int, int]]:
    """(channels, kernel, stride) of a Python expression of lists, + and *; nothing else in it is evaluated.

    >>> parse_layers("[(512, 10, 5)] + [(512, 3, 2)] * 2", "cfg")
    [(512, 10, 5), (512, 3, 2), (512, 3, 2)]

    Raises:
        UserError: it is something else.
    """

    def whole(node: ast.AST) -> int:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        raise ValueError

    def layers_of(node: ast.AST) -> list[tuple[int, int, int]]:
        if isinstance(node, ast.List | ast.Tuple):
            return [layer(element) for element in node.elts]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return layers_of(node.left) + layers_of(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and whole(node.right) <= MAXIMUM_LAYERS:
            return layers_of(node.left) * whole(node.right)
        raise ValueError

    def layer(node: ast.AST) -> tuple[int, int, int]:
        if not isinstance(node, ast.List | ast.Tuple):
            raise ValueError
        channels, kernel, stride = node.elts
        return whole(channels), whole(kernel), whole(stride)

    try:
        layers = layers_of(ast.parse(text, mode="eval").body)
        if not 0 < len(layers) <= MAXIMUM_LAYERS:
            raise ValueError
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        expected = "expected a list of (channels, kernel, stride)"
        raise UserError(f"{where}: '{text[:80]}' does not describe convolutions; {expected}") from None
    return layers


def other_side(foreign: Foreign, where: str | Path) -> OtherSide:
    """The model in torchaudio, where that has it, and else in this toolkit, from what was read back from the file."""
    imported = build_imported(foreign, where)
    source = Source(str(where), imported.model, imported.config, "")
    encoder = source.encoder
    form = FORMS[source.config.encoder, encoder.position, encoder.attention_position]
    scaled = source.frontend.normalize == "utterance"
    if form in torchaudio.FACTORIES:
        factory = torchaudio.FACTORIES[form]
        weights, _ = torchaudio.weights_of(source, factory)
        arguments = Settings(torchaudio.arguments(source, factory), where)
        return torchaudio.other_side(factory, arguments, weights, normalize=scaled)
    return OtherSide(lambda wav: our_states(imported.model, wav), layer_norm if scaled else lambda wav: wav)
