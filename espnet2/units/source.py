"""What is clustered ("mfcc", or a layer of a trained model): its identity and its extractor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from espnet2.models.find import ModelFiles, find_model
from espnet2.utils.device import require_device
from espnet2.utils.errors import UserError

if TYPE_CHECKING:  # importing it loads torch, which a finished array job does without
    from espnet2.units.features import FeatureExtractor

MFCC, MODEL_LAYER = "mfcc", "espnet_hubert"  # ESPnet's names
FEATURES = (MFCC, MODEL_LAYER)
CONVENTIONS = {MFCC: "13 MFCC, deltas, delta-deltas", MODEL_LAYER: "layer output after residual"}


class FeatureIdentity(TypedDict):
    """What decides the features: the same weights in another folder are the same source."""

    feature: str
    layer: int
    teacher_hash: str


@dataclass(frozen=True)
class FeatureSource:
    """A kind of features, and for a layer the exact teacher: two sources are the same if these fields are."""

    feature: str  # one of FEATURES
    layer: int = 0  # 1-based; 0 for mfcc
    model: str = ""  # experiment folder or checkpoint, as given; not part of the identity
    teacher_hash: str = ""  # of the teacher's weights
    files: ModelFiles | None = field(default=None, compare=False)  # of the teacher, where `resolve_source` found it

    @property
    def convention(self) -> str:
        return CONVENTIONS[self.feature]

    @property
    def identity(self) -> FeatureIdentity:
        return {"feature": self.feature, "layer": self.layer, "teacher_hash": self.teacher_hash}

    def describe(self) -> str:
        """For messages."""
        return "mfcc" if self.feature == MFCC else f"layer {self.layer} of {self.model}"


def resolve_source(feature: str, layer: int, model: str) -> FeatureSource:
    """Check what the user asked for, and find out which weights `model` has now.

    Args:
        feature: "mfcc", or "espnet_hubert" for a layer of `model`.
        layer: 1-based; ignored for mfcc.
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
    if layer < 1:
        raise UserError(f"--layer {layer}: layers are counted from 1, the first block of the encoder")
    files = find_model(model)
    return FeatureSource(feature, layer, model, files.hash, files)


def make_extractor(source: FeatureSource, sample_rate: int, device: str = "cpu") -> FeatureExtractor:
    """Build the extractor of a source.

    Args:
        source: of `resolve_source`.
        sample_rate: of the audio, in Hz.
        device: "meta" makes one that extracts nothing, but knows its layers, width and rate at no cost.

    Raises:
        UserError: the teacher has no such layer, or expects audio of another rate, or there is no GPU for "cuda".
    """
    from espnet2.units.features import LayerFeatures, MfccFeatures

    if source.feature == MFCC:
        return MfccFeatures(sample_rate)
    from espnet2.models.load import load_model, load_shape

    require_device(device)
    assert source.files is not None, "what only a card says has no files"
    model = load_shape(source.files) if device == "meta" else load_model(source.files, device=device).model
    return LayerFeatures(model, [source.layer], sample_rate, device, source.model)
