"""What is clustered ("mfcc", or a layer of a trained model): its identity and its extractor."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from espnet2.models.find import ModelFiles, find_model
from espnet2.utils.device import FLOAT32, require_device
from espnet2.utils.errors import UserError

if TYPE_CHECKING:  # importing it loads torch, which a finished array job does without
    from espnet2.units.features import FeatureExtractor

MFCC, MODEL_LAYER = "mfcc", "espnet_hubert"  # ESPnet's names
FEATURES = (MFCC, MODEL_LAYER)
JOIN = "+"  # between the numbers of layers that are joined
JOINED = re.compile(r"[1-9]\d*(\+[1-9]\d*)+")
CONVENTIONS = {MFCC: "13 MFCC, deltas, delta-deltas", MODEL_LAYER: "layer output after residual"}


class FeatureIdentity(TypedDict):
    """What decides the features: the same weights in another folder are the same source."""

    feature: str
    layer: int | str
    teacher_hash: str


@dataclass(frozen=True)
class FeatureSource:
    """A kind of features, and for a layer the exact teacher: two sources are the same if these fields are."""

    feature: str  # one of FEATURES
    layer: int | str = 0  # 1-based; "1+2+3": several, joined frame by frame; 0 for mfcc
    model: str = ""  # experiment folder or checkpoint, as given; not part of the identity
    teacher_hash: str = ""  # of the teacher's weights
    files: ModelFiles | None = field(default=None, compare=False)  # of the teacher, where `resolve_source` found it

    @property
    def layers(self) -> tuple[int, ...]:
        """Their numbers; none for mfcc."""
        return tuple(int(word) for word in str(self.layer).split(JOIN)) if self.feature == MODEL_LAYER else ()

    @property
    def convention(self) -> str:
        return CONVENTIONS[self.feature]

    @property
    def identity(self) -> FeatureIdentity:
        return {"feature": self.feature, "layer": self.layer, "teacher_hash": self.teacher_hash}

    def describe(self) -> str:
        """For messages."""
        if self.feature == MFCC:
            return "mfcc"
        return f"layer{'s' if len(self.layers) > 1 else ''} {self.layer} of {self.model}"


def parse_layer(text: str) -> int | str:
    """An argparse type: one layer, or several that are joined, in ascending order.

    >>> parse_layer("6"), parse_layer("1+2+3")
    (6, '1+2+3')
    """
    try:
        layers = [int(word) for word in text.split(JOIN)]
    except ValueError:
        layers = []
    if not layers or layers != sorted(set(layers)) or (len(layers) > 1 and not JOINED.fullmatch(text)):
        raise argparse.ArgumentTypeError(
            f"'{text}': expected a layer, such as 6, or layers to join, in ascending order, such as 1{JOIN}2{JOIN}3"
        )
    return layers[0] if len(layers) == 1 else text


def resolve_source(feature: str, layer: int | str, model: str) -> FeatureSource:
    """Check what the user asked for, and find out which weights `model` has now.

    Args:
        feature: "mfcc", or "espnet_hubert" for a layer of `model`.
        layer: 1-based, or of `parse_layer`; ignored for mfcc.
        model: experiment folder or checkpoint folder; ignored for mfcc.

    Raises:
        UserError: an unknown feature, no model, or a layer below 1.
    """
    if feature == MFCC:
        return FeatureSource(MFCC)
    if feature != MODEL_LAYER:
        raise UserError(f"--feature {feature}: unknown; known are {', '.join(FEATURES)}")
    if not model:
        raise UserError(f"--feature {feature} needs --model exp/<name>: the model whose layer {layer} is clustered")
    if isinstance(layer, int) and layer < 1:
        raise UserError(f"--layer {layer}: layers are counted from 1, the first block of the encoder")
    files = find_model(model)
    return FeatureSource(feature, layer, model, files.hash, files)


def make_extractor(
    source: FeatureSource, sample_rate: int, device: str = "cpu", dtype: str | None = None
) -> FeatureExtractor:
    """Build the extractor of a source.

    Args:
        source: of `resolve_source`.
        sample_rate: of the audio, in Hz.
        device: "meta" makes one that extracts nothing, but knows its layers, width and rate at no cost.
        dtype: in which a model computes, of `espnet2.units.precision`; None: float32.

    Raises:
        UserError: the teacher has no such layer, or expects audio of another rate, or there is no GPU for "cuda".
    """
    from espnet2.units.features import LayerFeatures, MfccFeatures
    from espnet2.units.precision import check_dtype

    dtype = dtype or FLOAT32
    if source.feature == MFCC:
        if dtype != FLOAT32:
            raise UserError(f"--dtype {dtype}: MFCC are computed in {FLOAT32}; leave it out")
        return MfccFeatures(sample_rate)
    check_dtype(dtype, device)
    from espnet2.models.load import load_model, load_shape

    require_device(device)
    assert source.files is not None, "what only a card says has no files"
    model = load_shape(source.files) if device == "meta" else load_model(source.files, device=device).model
    return LayerFeatures(model, source.layers, sample_rate, device, source.model, dtype=dtype)
