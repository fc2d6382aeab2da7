"""The form of torchaudio: a state dict and the arguments of its factory function."""

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet2.formats import names
from espnet2.formats.base import Reader, Writer
from espnet2.formats.canonical import modern_weight_norm, rename, reverse
from espnet2.formats.compare import OtherSide, States, layer_norm
from espnet2.formats.forms import Source, conv_layers, find_form, is_pre_norm, nothing_lacks
from espnet2.formats.incoming import Foreign, frontend_values, model_values
from espnet2.formats.safe_pickle import load_foreign, only_tensors
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json

FORMS = {"wav2vec2": nothing_lacks, "wavlm": nothing_lacks}
FACTORIES = {"wav2vec2": "wav2vec2_model", "wavlm": "wavlm_model"}
TABLES = {"wav2vec2_model": names.TORCHAUDIO, "wavlm_model": names.TORCHAUDIO_WAVLM}
MODEL, KWARGS = "model.pt", "kwargs.json"


def weights_of(source: Source, factory: str) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict of torchaudio, and what it does not hold."""
    renamed, left = rename(source.weights(qkv=factory == "wavlm_model"), TABLES[factory])
    return renamed, left


def arguments(source: Source, factory: str) -> dict[str, Any]:
    """Of `torchaudio.models.wav2vec2_model` or `wavlm_model`."""
    frontend, encoder = source.frontend, source.encoder
    keywords = {
        "extractor_mode": f"{frontend.norm}_norm",
        "extractor_conv_layer_config": conv_layers(frontend),
        "extractor_conv_bias": frontend.bias,
        "encoder_embed_dim": encoder.dim,
        "encoder_projection_dropout": frontend.dropout,
        "encoder_pos_conv_kernel": encoder.position_kernel,
        "encoder_pos_conv_groups": encoder.position_groups,
        "encoder_num_layers": encoder.num_layers,
        "encoder_num_heads": encoder.num_heads,
        "encoder_attention_dropout": encoder.attention_dropout,
        "encoder_ff_interm_features": encoder.ffn_dim,
        "encoder_ff_interm_dropout": encoder.activation_dropout,
        "encoder_dropout": encoder.dropout,
        "encoder_layer_norm_first": is_pre_norm(encoder),
        "encoder_layer_drop": encoder.layerdrop,
        "aux_num_out": None,
    }
    if factory == "wavlm_model":
        keywords |= {"encoder_num_buckets": encoder.num_buckets, "encoder_max_distance": encoder.max_distance}
    return keywords


def other_side(factory: str, kwargs: dict[str, Any], state: dict[str, Tensor], *, normalize: bool) -> OtherSide:
    """The model of torchaudio."""
    import torchaudio

    layers = [tuple(layer) for layer in kwargs["extractor_conv_layer_config"]]
    model = getattr(torchaudio.models, factory)(**kwargs | {"extractor_conv_layer_config": layers}).eval()
    model.load_state_dict(state)

    @torch.no_grad()
    def states(wav: Tensor) -> States:
        hidden, _ = model.extract_features(wav[None])
        return {**{layer: state[0] for layer, state in enumerate(hidden, 1)}, "last": model(wav[None])[0][0]}

    return OtherSide(states, layer_norm if normalize else lambda wav: wav)


def values_of(kwargs: dict[str, Any], where: Path, *, normalize: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """`frontend_conf` and `encoder_conf` of torchaudio's arguments."""
    frontend = frontend_values(
        kwargs["extractor_conv_layer_config"], where, norm=kwargs["extractor_mode"].removesuffix("_norm"),
        bias=kwargs["extractor_conv_bias"], normalize=normalize,
    )  # fmt: skip
    encoder = {
        "num_layers": kwargs["encoder_num_layers"],
        "dim": kwargs["encoder_embed_dim"],
        "num_heads": kwargs["encoder_num_heads"],
        "ffn_dim": kwargs["encoder_ff_interm_features"],
        "position_kernel": kwargs["encoder_pos_conv_kernel"],
        "position_groups": kwargs["encoder_pos_conv_groups"],
        "norm": "pre" if kwargs["encoder_layer_norm_first"] else "post",
    }
    if "encoder_num_buckets" in kwargs:
        encoder |= {"attention_position": "gated_relative", "num_buckets": kwargs["encoder_num_buckets"]}
        encoder |= {"max_distance": kwargs["encoder_max_distance"]}
    return frontend, encoder


def _files(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    file = folder / KWARGS
    if not file.is_file():
        raise UserError(
            f"{folder}: no {KWARGS}: a state dict alone does not tell heads and strides; expected {MODEL} and "
            '{"factory": "wav2vec2_model", "kwargs": {...}, "normalize": false, "sample_rate": 16000}'
        )
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{file}: not JSON: {error}") from None
    if about.get("factory") not in TABLES:
        raise UserError(f"{file}: factory is {about.get('factory')}; expected one of {', '.join(TABLES)}")
    path = folder / MODEL
    return about, modern_weight_norm(only_tensors(load_foreign(path), path))


class Torchaudio(Reader, Writer):
    """A state dict and the arguments of torchaudio's factory function."""

    title = "torchaudio.models"
    layers = "extract_features(wav)[0][l - 1] is layer l; the model's own output has the final norm of pre-LN models"
    other_side = "torchaudio.models, built from kwargs.json"
    order = 10

    def write(self, source: Source, folder: Path) -> list[str]:
        """model.pt, a state dict without any object of a class, and kwargs.json.

        Returns:
            Names of weights that the format does not hold.
        """
        factory = FACTORIES[find_form(source, self.title, FORMS)]
        renamed, left = weights_of(source, factory)
        torch.save(renamed, folder / MODEL)
        write_json(
            folder / KWARGS,
            {
                "factory": factory,
                "kwargs": arguments(source, factory),
                "normalize": source.frontend.normalize == "utterance",
                "sample_rate": source.frontend.sample_rate,
                "objective": source.objective,
            },
        )
        return left

    def read(self, folder: Path) -> Foreign:
        """A folder as `write` makes it.

        Raises:
            UserError: a file is missing or damaged.
        """
        about, state = _files(folder)
        weights, left = rename(state, reverse(TABLES[about["factory"]]))
        frontend, encoder = values_of(about["kwargs"], folder, normalize=about["normalize"])
        frontend["sample_rate"] = about["sample_rate"]
        gated = about["factory"] == "wavlm_model"
        # Neither head nor mask vector is in there, so any method with this encoder would do.
        objective = "wavlm" if gated else about.get("objective", "hubert")
        objective = objective if objective in ("wavlm", "hubert", "wav2vec2") else "hubert"
        return Foreign(model_values(frontend, encoder, objective, weights), weights, left)

    def run(self, folder: Path) -> OtherSide:
        """The model as a user of torchaudio builds it."""
        about, state = _files(folder)
        return other_side(about["factory"], about["kwargs"], state, normalize=about["normalize"])

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        return (path / KWARGS).is_file()
