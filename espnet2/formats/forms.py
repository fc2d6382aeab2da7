"""The architectures that other libraries know models by, and what each of them lacks."""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from espnet2.formats.canonical import to_canonical
from espnet2.ssl.encoder.conformer import ConformerEncoder
from espnet2.ssl.encoder.stack_config import StackConfig
from espnet2.ssl.encoder.transformer import TransformerEncoder
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import LabelledConfig
from espnet2.tasks.config import SSLConfig
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError

# (encoder, position, attention_position) -> the architecture
FORMS = {
    ("transformer", "conv", "none"): "wav2vec2",  # of wav2vec 2.0 and of HuBERT
    ("transformer", "conv", "gated_relative"): "wavlm",
    ("transformer", "conv_stack", "none"): "data2vec",
    ("transformer", "conv_stack", "alibi"): "data2vec2",
    ("conformer", "none", "relative"): "conformer",  # of wav2vec 2.0 Conformer
    ("conformer", "none", "rotary_input"): "conformer",
    ("conformer", "none", "none"): "conformer",
}
# Keys that ESPnet's own ssl1 brought: how every other library has them. `encoder_conf`, then `frontend_conf`.
USUAL_ENCODER = {
    "position_join": "add",
    "outer_norms": "one",
    "activation": "gelu",
    "norm_eps": 1e-5,
    "final_norm": False,
}
USUAL_FRONTEND = {"projection_norm": True}
TRANSFORMERS = "transformers>=5,<6"  # as pip installs it
Lacks = Callable[[ConvFrontend.Config, StackConfig], list[str]]  # what a form of an architecture does not have


@dataclass(frozen=True)
class Source:
    """A model to export."""

    name: str
    model: SSLModel
    config: SSLConfig
    hash: str  # of its weights file

    @property
    def entry(self) -> str:
        """The loss entry that answers for features."""
        return next(iter(self.config.entries()))

    @property
    def objective(self) -> str:
        """The method that trained it."""
        return self.config.entries()[self.entry].name

    @property
    def conf(self) -> Config:
        """Of the objective that trained it."""
        return self.config.entries()[self.entry].conf

    @property
    def frontend(self) -> ConvFrontend.Config:
        """Read only after `find_form`."""
        assert isinstance(self.config.frontend_conf, ConvFrontend.Config), self.config.frontend
        return self.config.frontend_conf

    @property
    def encoder(self) -> StackConfig:
        """All encoders so far are stacks."""
        assert isinstance(self.config.encoder_conf, StackConfig), self.config.encoder
        return self.config.encoder_conf

    def weights(self, *, qkv: bool = False) -> dict[str, Tensor]:
        """Under canonical names, in float32; a model that hides frames without a learned vector gets zeros for it."""
        state = to_canonical(self.model.state_dict(), self.entry, qkv=qkv)
        state.setdefault("objective.mask_embedding", torch.zeros(self.model.encoder.dim))
        return {name: value.detach().clone() for name, value in state.items()}


def find_form(source: Source, library: str, forms: Mapping[str, Lacks]) -> str:
    """The architecture that `library` has for this model.

    Args:
        forms: the architectures of the library.

    Raises:
        UserError: it has none; the message names every key of the config that stands in the way.
    """
    config, encoder = source.config, source.encoder
    missing = []
    if config.frontend != "conv":
        missing.append(f"frontend: {config.frontend} (others know the convolutions of frontend: conv only)")
    elif not source.frontend.project:
        missing.append("frontend_conf: project: false")
    else:
        missing += unusual(source.frontend, USUAL_FRONTEND, "frontend_conf")
    if isinstance(source.conf, LabelledConfig) and (source.conf.num_codebooks or 1) > 1:
        missing.append(f"loss conf: num_codebooks: {source.conf.num_codebooks} (others name one label a frame)")
    if encoder.long_skips:
        missing.append("encoder_conf: long_skips: true")
    form = FORMS.get((config.encoder, encoder.position, encoder.attention_position))
    held = {"final_norm"} if form == "conformer" else set()
    missing += unusual(encoder, {key: USUAL_ENCODER[key] for key in USUAL_ENCODER if key not in held}, "encoder_conf")
    if form is None or form not in forms:
        keys = f"position: {encoder.position} and attention_position: {encoder.attention_position}"
        missing.append(f"encoder: {config.encoder} with {keys}")
    elif config.frontend == "conv":
        missing += forms[form](source.frontend, encoder)
    if form is None or missing:
        raise UserError(f"{source.name}: this architecture has no form in {library}: {'; '.join(missing)}")
    return form


def unusual(config: Config, usual: Mapping[str, object], section: str) -> list[str]:
    """The keys of a section that are set to something else than a form has."""
    values = {key: getattr(config, key, value) for key, value in usual.items()}
    return [
        f"{section}: {key}: {json.dumps(value)}".replace('"', "")
        for key, value in values.items()
        if value != usual[key]
    ]


def nothing_lacks(frontend: ConvFrontend.Config, encoder: StackConfig) -> list[str]:
    """For a form that holds every model of its architecture."""
    return []


def conv_layers(frontend: ConvFrontend.Config) -> list[tuple[int, int, int]]:
    """(channels, kernel, stride) of each convolution."""
    return [(frontend.channels, kernel, stride) for kernel, stride in frontend.layers]


def is_pre_norm(encoder: StackConfig) -> bool:
    """Whether blocks normalise their input."""
    return isinstance(encoder, TransformerEncoder.Config) and encoder.norm == "pre"


def library(name: str, install: str) -> ModuleType:
    """Import what not everybody needs.

    Raises:
        UserError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"this needs {name} ({error}); install it: pip install '{install}'") from None


def lacks_data2vec(frontend: ConvFrontend.Config, encoder: StackConfig) -> list[str]:
    """Data2VecAudioModel has LayerNorm convolutions and post-LN blocks only."""
    missing = [] if frontend.norm == "layer" else ["frontend_conf: norm: group"]
    return missing + (["encoder_conf: norm: pre"] if is_pre_norm(encoder) else [])


def lacks_conformer(frontend: ConvFrontend.Config, encoder: StackConfig) -> list[str]:
    """Wav2Vec2ConformerModel has batch norm and no biases in its convolutions, which look both ways."""
    assert isinstance(encoder, ConformerEncoder.Config)
    return unusual(encoder, {"conv_norm": "batch", "conv_bias": False, "conv_causal": False}, "encoder_conf")
