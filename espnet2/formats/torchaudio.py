"""The form of torchaudio: a state dict and the arguments of its factory function."""

from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from espnet2.formats import names
from espnet2.formats.base import Reader, Writer
from espnet2.formats.canonical import modern_weight_norm, rename, reverse
from espnet2.formats.compare import OtherSide, States, layer_norm
from espnet2.formats.forms import Source, conv_layers, find_form, is_pre_norm, nothing_lacks
from espnet2.formats.incoming import Foreign, Values, frontend_values, model_values
from espnet2.formats.safe_pickle import load_foreign, only_tensors
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError
from espnet2.utils.files import require_json, write_json

FORMS = {"wav2vec2": nothing_lacks, "wavlm": nothing_lacks}
FACTORIES = {"wav2vec2": "wav2vec2_model", "wavlm": "wavlm_model"}
TABLES = {"wav2vec2_model": names.TORCHAUDIO, "wavlm_model": names.TORCHAUDIO_WAVLM}
MODEL, KWARGS = "model.pt", "kwargs.json"
CONVOLUTIONS = "extractor_conv_layer_config"  # the argument that says channels, kernels and strides
REMEDY = (
    f"a state dict alone does not tell heads and strides; expected {MODEL} and "
    '{"factory": "wav2vec2_model", "kwargs": {...}, "normalize": false, "sample_rate": 16000}'
)


def weights_of(source: Source, factory: str) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict of torchaudio, and what it does not hold."""
    renamed, left = rename(source.weights(qkv=factory == "wavlm_model"), TABLES[factory])
    return renamed, left


def arguments(source: Source, factory: str) -> dict[str, object]:
    """Of `torchaudio.models.wav2vec2_model` or `wavlm_model`."""
    frontend, encoder = source.frontend, source.encoder
    keywords: dict[str, object] = {
        "extractor_mode": f"{frontend.norm}_norm",
        CONVOLUTIONS: conv_layers(frontend),
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


def other_side(factory: str, kwargs: Settings, state: dict[str, Tensor], *, normalize: bool) -> OtherSide:
    """The model of torchaudio."""
    import torchaudio

    layers = kwargs.conv_layers(CONVOLUTIONS)
    model = getattr(torchaudio.models, factory)(**{**kwargs.values, CONVOLUTIONS: layers}).eval()
    model.load_state_dict(state)

    @torch.no_grad()
    def states(wav: Tensor) -> States:
        hidden, _ = model.extract_features(wav[None])
        return {**{layer: state[0] for layer, state in enumerate(hidden, 1)}, "last": model(wav[None])[0][0]}

    return OtherSide(states, layer_norm if normalize else lambda wav: wav)


def values_of(kwargs: Settings, *, normalize: bool) -> tuple[Values, Values]:
    """`frontend_conf` and `encoder_conf` of torchaudio's arguments."""
    frontend = frontend_values(
        kwargs.conv_layers(CONVOLUTIONS), kwargs.where, norm=kwargs.text("extractor_mode").removesuffix("_norm"),
        bias=kwargs.flag("extractor_conv_bias"), normalize=normalize,
    )  # fmt: skip
    encoder: Values = {
        "num_layers": kwargs.whole("encoder_num_layers"),
        "dim": kwargs.whole("encoder_embed_dim"),
        "num_heads": kwargs.whole("encoder_num_heads"),
        "ffn_dim": kwargs.whole("encoder_ff_interm_features"),
        "position_kernel": kwargs.whole("encoder_pos_conv_kernel"),
        "position_groups": kwargs.whole("encoder_pos_conv_groups"),
        "norm": "pre" if kwargs.flag("encoder_layer_norm_first") else "post",
    }
    if "encoder_num_buckets" in kwargs.values:
        encoder |= {"attention_position": "gated_relative", "num_buckets": kwargs.whole("encoder_num_buckets")}
        encoder |= {"max_distance": kwargs.whole("encoder_max_distance")}
    return frontend, encoder


class _Folder(NamedTuple):
    """What `write` leaves, as far as it is read again."""

    factory: str  # a key of TABLES
    kwargs: Settings
    normalize: bool  # each utterance to zero mean and unit variance
    sample_rate: int  # Hz
    objective: str
    state: dict[str, Tensor]


def _read_folder(folder: Path) -> _Folder:
    file, path = folder / KWARGS, folder / MODEL
    about = Settings(require_json(file, REMEDY), file)
    factory = about.get("factory")
    if not isinstance(factory, str) or factory not in TABLES:
        raise UserError(f"{file}: factory is {factory}; expected one of {', '.join(TABLES)}")
    return _Folder(
        factory,
        about.section("kwargs"),
        about.flag("normalize"),
        about.whole("sample_rate", 16000),
        about.text("objective", "hubert"),
        modern_weight_norm(only_tensors(load_foreign(path), path)),
    )


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
        about = _read_folder(folder)
        weights, left = rename(about.state, reverse(TABLES[about.factory]))
        frontend, encoder = values_of(about.kwargs, normalize=about.normalize)
        frontend["sample_rate"] = about.sample_rate
        gated = about.factory == "wavlm_model"
        # Neither head nor mask vector is in there, so any method with this encoder would do.
        objective = "wavlm" if gated else about.objective
        objective = objective if objective in ("wavlm", "hubert", "wav2vec2") else "hubert"
        return Foreign(model_values(frontend, encoder, objective, weights), weights, left)

    def run(self, folder: Path) -> OtherSide:
        """The model as a user of torchaudio builds it."""
        about = _read_folder(folder)
        return other_side(about.factory, about.kwargs, about.state, normalize=about.normalize)

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        return (path / KWARGS).is_file()
