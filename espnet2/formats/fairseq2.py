"""The form of fairseq2: its wav2vec 2.0, Omnilingual's among them; a checkpoint read and written without fairseq2."""

from collections.abc import Mapping, Set
from pathlib import Path

import torch
import yaml
from torch import Tensor

from espnet2.formats import names
from espnet2.formats.base import Reader, Writer
from espnet2.formats.canonical import modern_weight_norm, old_weight_norm, rename, reverse
from espnet2.formats.compare import OtherSide
from espnet2.formats.fairseq_layout import lacks_projection
from espnet2.formats.fairseq_read import other_side
from espnet2.formats.forms import Source, conv_layers, find_form, is_pre_norm
from espnet2.formats.incoming import Foreign, Values, frontend_values, model_values
from espnet2.formats.safe_pickle import load_foreign, only_tensors
from espnet2.formats.settings import Settings
from espnet2.ssl.frontend.conv import WAV2VEC2_LAYERS
from espnet2.ssl.objective.wav2vec2 import Wav2Vec2Config
from espnet2.utils.errors import UserError

MODEL, CARD = "model.pt", "model.yaml"
# Heads by width, which no weight tells: "base" and "large" of fairseq2 0.8 (models/wav2vec2/config.py), "1b", "3b" and
# "7b" of omnilingual-asr 0.2 (models/wav2vec2_ssl/config.py).
HEADS = {768: 12, 1024: 16, 1280: 16, 2048: 16}
CARD_LEVELS = 5  # folders above a weights file: <checkpoints>/step_<n>/model/pp_00/tp_00/sdp_00.pt
EXTRACTOR = "encoder_frontend.feature_extractor.layers."
OUTER_NORMS = ("encoder.layer_norm.weight", "encoder_frontend.layer_norm.weight")  # of pre-LN and of post-LN models
UPDATES = "quantizer.num_updates"  # a counter, which the class has
STRANGE = {  # beginnings of weights -> the architectures of fairseq2 that have no form here
    "encoder.layers.0.ffn1.": "conformer blocks (w2v-BERT's own files; transformers' form of w2v-BERT 2.0 is read)",
    "encoder.layers.0.conv.": "conformer blocks",
    "encoder_frontend.pos_encoder.layers.": "a stack of positions",
}


def _card_of(path: Path) -> Settings:
    """`model_config` of the model.yaml that a training of fairseq2 writes; empty without one.

    Raises:
        UserError: it is damaged.
    """
    for folder in path.parents[:CARD_LEVELS]:
        file = folder / CARD
        if not file.is_file():
            continue
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: not plain YAML: {str(error).splitlines()[0]}") from None
        if not isinstance(content, dict):
            raise UserError(f"{file}: expected 'key: value' lines")
        config = Settings(content, file).section("model_config")
        return config.section("_set_") if "_set_" in config.values else config
    return Settings({}, path)


def _state(path: Path) -> dict[str, Tensor]:
    content = load_foreign(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    state = only_tensors(content, path)
    return modern_weight_norm({name.removeprefix("module."): value for name, value in state.items()})


def _require_form(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse what is no wav2vec 2.0 of waveforms with transformer blocks."""
    if not any(name.startswith("encoder_frontend.") for name in state):
        raise UserError(f"{path}: no speech encoder of fairseq2; expected weights named encoder_frontend.*")
    strange = next((what for start, what in STRANGE.items() if any(name.startswith(start) for name in state)), None)
    if strange is None and not any(name.startswith(EXTRACTOR) for name in state):
        strange = "mel or text as its input"
    if strange is None and "encoder_frontend.model_dim_proj.weight" not in state:
        strange = "no projection between convolutions and blocks"
    if strange is None and sum(name in state for name in OUTER_NORMS) != 1:
        strange = f"not exactly one of {' and '.join(OUTER_NORMS)}"
    if strange:
        raise UserError(
            f"{path}: no form here for a model of fairseq2 with {strange}; wav2vec 2.0 of waveforms has one"
        )


def _sizes(state: Mapping[str, Tensor], card: Settings, path: Path) -> tuple[list[tuple[int, int, int]], Values]:
    """(channels, kernel, stride) of each convolution, and `encoder_conf`, from weights and what they cannot tell."""
    encoder = card.section("encoder_config")
    numbers = [int(name.split(".")[2]) for name in state if name.startswith("encoder.layers.")]
    try:
        query = state["encoder.layers.0.self_attn.q_proj.weight"]
        inner = state["encoder.layers.0.ffn.inner_proj.weight"]
        position = state["encoder_frontend.pos_encoder.conv.parametrizations.weight.original1"]
    except KeyError as error:
        raise UserError(f"{path}: the weight {error} is not in there") from None
    dim = query.size(0)
    heads = encoder.whole("num_encoder_attn_heads", HEADS.get(dim, 0))
    if heads < 1:
        known = ", ".join(map(str, HEADS))
        raise UserError(
            f"{path}: the number of attention heads is not known for the width {dim} (it is for {known}); put the "
            f"{CARD} that fairseq2 writes in a training beside it: model_config: encoder_config: num_encoder_attn_heads"
        )
    kernels = [state[f"{EXTRACTOR}{number}.conv.weight"] for number in range(_count(state))]
    usual = [
        (len(kernel), kernel.size(2), stride) for kernel, (_, stride) in zip(kernels, WAV2VEC2_LAYERS, strict=False)
    ]
    key = "feature_extractor_layer_descs"
    layers = encoder.conv_layers(key) if key in encoder.values else usual
    if [layer[:2] for layer in layers] != [(len(kernel), kernel.size(2)) for kernel in kernels]:
        raise UserError(
            f"{path}: the strides of its {len(kernels)} convolutions are not known; put {CARD} beside it: {key}"
        )
    return layers, {
        "num_layers": max(numbers) + 1,
        "dim": dim,
        "num_heads": heads,
        "ffn_dim": inner.size(0),
        "position_kernel": position.size(2),
        "position_groups": dim // position.size(1),
        "norm": "pre" if OUTER_NORMS[0] in state else "post",
    }


def _count(state: Mapping[str, Tensor]) -> int:
    """Of the convolutions."""
    return len({name for name in state if name.startswith(EXTRACTOR) and name.endswith(".conv.weight")})


def _config(source: Source) -> dict[str, object]:
    """`model_config` of the family wav2vec2, in the words of fairseq2."""
    frontend, encoder, conf = source.frontend, source.encoder, source.conf
    assert isinstance(conf, Wav2Vec2Config)
    pre = is_pre_norm(encoder)
    return {
        "encoder_config": {
            "model_dim": encoder.dim, "feature_dim": frontend.channels, "num_encoder_layers": encoder.num_layers,
            "num_encoder_attn_heads": encoder.num_heads, "ffn_inner_dim": encoder.ffn_dim,
            "feature_extractor_layer_descs": [list(layer) for layer in conv_layers(frontend)],
            "feature_extractor_bias": frontend.bias, "feature_extractor_layer_norm_convs": frontend.norm == "layer",
            "feature_grad_scale": frontend.feature_grad_mult, "layer_norm_features": not pre,
            "norm_order": "PRE" if pre else "POST", "pos_conv_kernel_size": encoder.position_kernel,
            "num_pos_conv_groups": encoder.position_groups, "dropout_p": encoder.dropout,
            "attn_dropout_p": encoder.attention_dropout, "ffn_inner_dropout_p": encoder.activation_dropout,
            "layer_drop_p": encoder.layerdrop,
        },
        "final_dim": conf.final_dim, "quantized_dim": conf.code_dim, "num_codebooks": conf.num_groups,
        "num_codebook_entries": conf.num_codes, "num_distractors": conf.num_negatives, "logit_temp": conf.temperature,
    }  # fmt: skip


class Fairseq2(Reader, Writer):
    """Checkpoints of fairseq2's wav2vec 2.0."""

    title = "fairseq2"
    layers = "the output of encoder.layers[l - 1] is layer l; that of the encoder has the final norm of pre-LN models"
    other_side = "the file read back, in torchaudio"
    order = 35

    def write(self, source: Source, folder: Path) -> list[str]:
        """model.pt, and model.yaml with the family and its config, as a training of fairseq2 writes it.

        Returns:
            Names of weights that the format does not hold.

        Raises:
            UserError: no form there; the class has a quantizer, so that models of other methods do not load.
        """
        form = find_form(source, self.title, {"wav2vec2": lacks_projection})
        assert form == "wav2vec2", form
        if source.objective != "wav2vec2":
            raise UserError(
                f"{source.name}: loss: {source.objective} has no form in {self.title}, whose wav2vec 2.0 has a "
                "quantizer and heads; --to fairseq, huggingface or torchaudio hold the encoder alone"
            )
        table = names.fairseq2(source.frontend.norm, pre_norm=is_pre_norm(source.encoder))
        weights, left = rename(source.weights(), table)
        weights = old_weight_norm(weights) | {UPDATES: torch.zeros((), dtype=torch.int64)}
        torch.save({"model": weights}, folder / MODEL)
        card = {"name": "checkpoint", "model_family": "wav2vec2", "model_config": _config(source)}
        (folder / CARD).write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
        return left

    def read(self, path: Path) -> Foreign:
        """A checkpoint, with model.yaml where its sizes are not published ones; a folder is one of `write`.

        Raises:
            UserError: the file is damaged, no wav2vec 2.0 of fairseq2, or has no form here.
        """
        path = path / MODEL if path.is_dir() else path
        state, card = _state(path), _card_of(path)
        _require_form(state, path)
        layers, encoder = _sizes(state, card, path)
        norm = "layer" if f"{EXTRACTOR}0.layer_norm.weight" in state else "group"
        pre = encoder["norm"] == "pre"
        weights, left = rename(state, reverse(names.fairseq2(norm, pre_norm=pre)))
        if "objective.quantizer.codes" not in weights:  # final_proj is then a recogniser's
            heads = [name for name in weights if name.startswith("objective.head.")]
            weights = {name: value for name, value in weights.items() if name not in heads}
            left += [name for name in state if name.startswith(("final_proj.", "final_target_proj."))]
        frontend = frontend_values(
            layers, path, norm=norm, bias=f"{EXTRACTOR}0.conv.bias" in state, normalize=norm == "layer"
        )
        scaled = "each utterance is scaled to zero mean and unit variance" if norm == "layer" else "no scaling"
        notes = [f"{path}: nothing says how waveforms are scaled; assumed from the architecture: {scaled}, 16000 Hz"]
        values = model_values(frontend, encoder, "wav2vec2", weights)
        return Foreign(values, weights, [name for name in left if name != UPDATES], notes)

    def run(self, path: Path) -> OtherSide:
        """The file as it is read back; fairseq2 needs a torch of its own."""
        file = path / MODEL if path.is_dir() else path
        return other_side(self.read(file), file)

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        if path.is_dir():
            return (path / MODEL).is_file() and (path / CARD).is_file()
        return any(key.removeprefix("model.").removeprefix("module.").startswith("encoder_frontend.") for key in keys)
