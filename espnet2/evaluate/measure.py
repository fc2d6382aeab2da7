"""Figures of one layer of one system, what kind they are, and when two of them differ clearly."""

from dataclasses import dataclass
from typing import TypedDict

from espnet2.evaluate.spread import half_width, with_spread

ONE_SEED_MARGIN = 0.01  # three seeds of k-means were 0.002 to 0.012 apart: egs2/mini_espeak/ssl1/RESULTS.md


class RowJson(TypedDict):
    """Whose figures a row of eval/<part>.json has."""

    system: str  # of espnet2.evaluate.systems.KINDS
    title: str
    layer: int | None  # None: no layer (MFCC), or a learned mix of all
    seeds: list[int]


@dataclass(frozen=True)
class Kind:
    """One way to measure a model."""

    key: str
    title: str
    question: str  # what it answers, in words
    higher_is_better: bool
    as_percent: bool
    in_results: bool = True  # has a column in RESULTS.md
    mixes_layers: bool = False  # where a system has layers, a figure without one is of a mix of them

    @property
    def note(self) -> str:
        """What a chart says below its title."""
        return f"{self.question}; {'higher' if self.higher_is_better else 'lower'} is better"

    @property
    def unit(self) -> str:
        """Of the values of a chart."""
        return "%" if self.as_percent else ""

    @property
    def chart_title(self) -> str:
        return ", ".join(filter(None, [self.title, self.unit]))

    def scaled(self, value: float) -> float:
        """A value as charts draw it."""
        return 100 * value if self.as_percent else value

    def text(self, value: float) -> str:
        """A value as people read it."""
        return with_spread(value, None, as_percent=self.as_percent)


@dataclass(frozen=True)
class Measure:
    """One figure of one layer of one system, on held-out data."""

    kind: Kind
    system: str  # of espnet2.evaluate.systems.KINDS
    title: str
    layer: int | None  # None: no layer (MFCC), or a learned mix of all
    value: float
    low: float | None = None  # the interval, where it is known
    high: float | None = None
    best: bool = False  # the layer that speaks for its system
    rule: str = ""  # what two figures must share besides the kind to be compared, in words
    items: str = ""  # what it was computed on, in words: set, number, clock

    @property
    def text(self) -> str:
        """The value with its spread."""
        return with_spread(self.value, self.spread, as_percent=self.kind.as_percent)

    @property
    def spread(self) -> float | None:
        """What differences are compared with; None where it is unknown."""
        return None if self.low is None or self.high is None else half_width(self.low, self.high)

    @property
    def basis(self) -> str:
        """Clock, rule and items in words."""
        return "; ".join(filter(None, [self.rule, self.items]))

    @property
    def where(self) -> str:
        """The layer in words."""
        return f"layer {self.layer}" if self.layer else ""


@dataclass(frozen=True)
class Against:
    """A model beside a baseline."""

    model: Measure
    baseline: Measure

    @property
    def gain(self) -> float:
        """Above 0: the model is better."""
        difference = self.model.value - self.baseline.value
        return difference if self.model.kind.higher_is_better else -difference

    @property
    def is_clear(self) -> bool:
        """Whether the difference exceeds both spreads together, or where they are unknown, a stated margin."""
        spreads = [measure.spread for measure in (self.model, self.baseline) if measure.spread is not None]
        return abs(self.gain) > (sum(spreads) if len(spreads) == 2 else ONE_SEED_MARGIN)

    @property
    def verdict(self) -> str:
        """One of better, worse, equal."""
        return "equal" if not self.is_clear else "better" if self.gain > 0 else "worse"


def measure_of(
    kind: Kind,
    row: RowJson,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    best: bool = False,
    items: str = "",
) -> Measure:
    """A figure of a row of eval/<part>.json, which says whose it is."""
    layer = row.get("layer") or None
    return Measure(kind, row["system"], row.get("title", row["system"]), layer, value, low, high, best, items=items)


def seed_interval(row: RowJson, value: float, spread: float | None) -> tuple[float, float] | tuple[None, None]:
    """Value less and plus its spread over the seeds of a row; unknown for one seed."""
    several = isinstance(row.get("seeds"), list) and len(row["seeds"]) > 1
    return (value - spread, value + spread) if several and spread is not None else (None, None)
