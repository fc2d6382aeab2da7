"""What an evaluation compares (model, untrained model, MFCC, log-mel, own codes), and how each is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet2.models.find import ModelFiles
from espnet2.models.load import load_model, load_shape, load_untrained
from espnet2.units.features import FeatureExtractor, LayerFeatures, LogMelFeatures, MfccFeatures
from espnet2.units.own_codes import CodeFeatures
from espnet2.utils.errors import UserError

KINDS = ("model", "untrained", "mfcc", "logmel", "codes")
BARE = ("mfcc", "logmel")  # need no model


@dataclass(frozen=True)
class System:
    """One row, or one row per layer, of every table of the evaluation."""

    kind: str  # of KINDS
    title: str
    files: ModelFiles | None = None  # of its model

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.kind in BARE) == (self.files is not None):
            raise UserError(
                f"system '{self.kind}' with model '{self.model}': expected one of {', '.join(KINDS)}; "
                f"all but {' and '.join(BARE)} are of a model"
            )

    @property
    def model(self) -> str:
        """The name of its model, as the user gave it; empty where there is none."""
        return self.files.name if self.files else ""

    @property
    def tag(self) -> str:
        """Which checkpoint."""
        return self.files.tag if self.files else "latest"

    @property
    def hash(self) -> str:
        """What its features depend on besides the audio; "" where there are no trained weights."""
        return self.source_hash if self.kind in ("model", "codes") else ""

    @property
    def source_hash(self) -> str:
        """Of the weights beside it, if any: an untrained model has its trained one's config and mel statistics."""
        return self.files.hash if self.files else ""


def systems_of(files: ModelFiles, *, has_codes: bool = False) -> tuple[System, ...]:
    """A trained model with the rows that belong beside it in every table: MFCC, and itself before training."""
    codes = (System("codes", "own codes", files),) if has_codes else ()
    return (
        System("mfcc", "MFCC"),
        System("untrained", "untrained", files),
        System("model", Path(files.name).name, files),
        *codes,
    )


def has_codes(files: ModelFiles) -> bool:
    """Whether a trained model names units itself; nothing is loaded.

    Raises:
        UserError: its config is wrong.
    """
    return bool(load_shape(files).first.code_numbers)


def open_system(
    system: System, sample_rate: int, device: str = "cpu", layers: Sequence[int] | None = None
) -> FeatureExtractor:
    """Every layer of the system.

    Args:
        layers: of a model, from 1; None: all. Nothing else has layers: MFCC and codes are given whole.

    Raises:
        UserError: there is no such layer, it has no codes of its own, or it was trained at another rate.
    """
    if system.kind == "mfcc":
        return MfccFeatures(sample_rate)
    if system.kind == "logmel":
        return LogMelFeatures(sample_rate)
    assert system.files is not None, system.kind
    if system.kind == "codes":
        return CodeFeatures(load_model(system.files, device=device).model, sample_rate, device, system.model)
    loaded = load_untrained(system.files) if system.kind == "untrained" else load_model(system.files)
    model = loaded.model.to(device)
    numbers = layers or range(1, model.encoder.num_layers + 1)
    return LayerFeatures(model, numbers, sample_rate, device, system.model)
