"""A row of eval/units.json: the units of one layer of one system, on both sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

from espnet2.evaluate.measure import RowJson
from espnet2.evaluate.part import PartJson, read_part
from espnet2.evaluate.report.heatmap import HeatMapJson


class SetFiguresJson(TypedDict, total=False):
    """`SetFigures` as the file has them; those of phones are missing where there are no alignments."""

    phone_purity: float
    cluster_purity: float
    pnmi: float
    bitrate: float
    bitrate_deduplicated: float
    perplexity: float
    used_clusters: float
    mean_run_frames: float
    spread: dict[str, float]  # of each figure


class _Row(RowJson):
    model: str
    tag: str
    teacher_hash: str
    frame_rate: float
    own_rate: float
    K: int
    train: SetFiguresJson
    valid: SetFiguresJson
    best: bool


class UnitRowJson(_Row, total=False):
    """`UnitRow` as the file has it."""

    heatmap: HeatMapJson  # of the best layer of a model, where there are phones


class _Set(TypedDict):
    set: str  # dump/<set>
    num_utterances: int
    num_frames: int


class SetJson(_Set, total=False):
    """A set that was learned or measured on; tables do without the next three."""

    index_hash: str
    phones: str | None  # where they come from
    num_phones: int


class UnitsJson(PartJson):
    """The content of eval/units.json."""

    num_clusters: int
    frame_rate: float  # per second
    seeds: list[int]
    train: SetJson
    valid: SetJson
    rows: list[UnitRowJson]


def read_units(exp: Path) -> UnitsJson | None:
    """The content of exp/<name>/eval/units.json, or None as `read_part`."""
    return cast(UnitsJson | None, read_part(exp, "units"))


@dataclass(frozen=True)
class SetFigures:
    """Every figure of one set, over the seeds of k-means."""

    means: Mapping[str, float]  # LABEL_FIGURES and, where there are phones, PHONE_FIGURES
    spreads: Mapping[str, float]  # largest less smallest

    def as_json(self) -> SetFiguresJson:
        return cast(SetFiguresJson, {**self.means, "spread": dict(self.spreads)})


@dataclass(frozen=True)
class HeatMap:
    """How often each phone is heard where a unit is."""

    phones: list[str]  # symbols: columns
    units: list[int]  # ids: rows
    p_phone_given_unit: list[list[float]]  # a list for each unit

    def as_json(self) -> HeatMapJson:
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

    def as_json(self) -> UnitRowJson:
        """The row as the file has it."""
        values: UnitRowJson = {
            "system": self.system, "title": self.title, "model": self.model, "tag": self.tag,
            "teacher_hash": self.teacher_hash, "frame_rate": self.frame_rate, "own_rate": self.own_rate,
            "layer": self.layer, "K": self.num_units, "seeds": list(self.seeds), "train": self.train.as_json(),
            "valid": self.valid.as_json(), "best": self.best,
        }  # fmt: skip
        if self.heatmap is not None:
            values["heatmap"] = self.heatmap.as_json()
        return values
