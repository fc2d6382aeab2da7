"""A row of eval/units.json: the units of one layer of one system, on both sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SetFigures:
    """Every figure of one set, over the seeds of k-means."""

    means: Mapping[str, float]  # LABEL_FIGURES and, where there are phones, PHONE_FIGURES
    spreads: Mapping[str, float]  # largest less smallest

    def as_json(self) -> dict[str, Any]:
        return {**self.means, "spread": dict(self.spreads)}


@dataclass(frozen=True)
class HeatMap:
    """How often each phone is heard where a unit is."""

    phones: list[str]  # symbols: columns
    units: list[int]  # ids: rows
    p_phone_given_unit: list[list[float]]  # a list for each unit

    def as_json(self) -> dict[str, Any]:
        return {"phones": self.phones, "units": self.units, "p_phone_given_unit": self.p_phone_given_unit}


@dataclass(frozen=True)
class UnitRow:
    """One layer of one system."""

    system: str  # of espnet2.evaluate.systems.KINDS
    title: str
    model: str
    tag: str
    teacher_hash: str
    frame_rate: float  # at which all systems are compared
    own_rate: float
    layer: int | None
    num_units: int
    seeds: tuple[int, ...]  # of k-means; none of a method's own codes
    train: SetFigures
    valid: SetFigures
    best: bool = False  # the layer that was chosen on train
    heatmap: HeatMap | None = None

    def as_json(self) -> dict[str, Any]:
        """The row as the file has it."""
        values: dict[str, Any] = {
            "system": self.system, "title": self.title, "model": self.model, "tag": self.tag,
            "teacher_hash": self.teacher_hash, "frame_rate": self.frame_rate, "own_rate": self.own_rate,
            "layer": self.layer, "K": self.num_units, "seeds": list(self.seeds), "train": self.train.as_json(),
            "valid": self.valid.as_json(), "best": self.best,
        }  # fmt: skip
        return values if self.heatmap is None else {**values, "heatmap": self.heatmap.as_json()}
