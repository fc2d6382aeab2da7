"""The JSON of the evaluation's parts in, one flat list of comparable figures out: all that pages and tables show."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from espnet2.evaluate.spread import half_width, with_spread

BASELINES = ("mfcc", "logmel", "untrained")
ONE_SEED_MARGIN = 0.01  # three seeds of k-means were 0.002 to 0.012 apart: egs2/mini_espeak/ssl1/RESULTS.md


@dataclass(frozen=True)
class Kind:
    """One way to measure a model."""

    key: str
    title: str
    question: str  # what it answers, in words
    higher_is_better: bool
    as_percent: bool

    def text(self, value: float) -> str:
        """A value as people read it."""
        return with_spread(value, None, as_percent=self.as_percent)


KINDS = {
    kind.key: kind
    for kind in (
        Kind("pnmi", "PNMI", "how much of the phone a unit tells, from 0 (nothing) to 1 (all)", True, False),
        Kind(
            "abx_within",
            "ABX error within speaker",
            "how often a sound is nearer to another phone's than to its own, by one voice; 50 % is guessing",
            False,
            True,
        ),
        Kind(
            "abx_across",
            "ABX error across speakers",
            "the same, where the sounds to be told apart come from two voices",
            False,
            True,
        ),
        Kind("probe_phone", "phone probe", "frames whose phone a linear classifier names rightly", True, True),
        Kind(
            "probe_speaker", "speaker probe", "utterances whose speaker a linear classifier names rightly", True, True
        ),
        Kind(
            "probe_language",
            "language probe",
            "utterances whose language a linear classifier names rightly",
            True,
            True,
        ),
        Kind("probe_per", "phone error rate of CTC", "phones that a small recogniser gets wrong", False, True),
        Kind("probe_cer", "character error rate of CTC", "characters that a small recogniser gets wrong", False, True),
        Kind("probe_wer", "word error rate of CTC", "words that a small recogniser gets wrong", False, True),
    )
}


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

    @property
    def text(self) -> str:
        """The value with its spread."""
        return with_spread(self.value, self.spread, as_percent=self.kind.as_percent)

    @property
    def spread(self) -> float | None:
        """What differences are compared with; None where it is unknown."""
        return None if self.low is None or self.high is None else half_width(self.low, self.high)

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
        spreads = [each.spread for each in (self.model, self.baseline) if each.spread is not None]
        return abs(self.gain) > (sum(spreads) if len(spreads) == 2 else ONE_SEED_MARGIN)

    @property
    def verdict(self) -> str:
        """One of better, worse, equal."""
        return "equal" if not self.is_clear else "better" if self.gain > 0 else "worse"


def measures_of(parts: Mapping[str, Mapping[str, Any]]) -> list[Measure]:
    """All figures of the parts that were computed, each system with the layer that speaks for it marked.

    Args:
        parts: name -> content of exp/<name>/eval/<name>.json.
    """
    units = list(_of_rows(parts, "units", _unit_measures))
    chosen = {(each.system, each.title): each.layer for each in units if each.best}
    others = [*_of_rows(parts, "abx", _abx_measures), *_of_rows(parts, "probes", _probe_measures)]
    return _with_best([*units, *others], chosen)


def headline(measures: Iterable[Measure], kind: str, system: str = "model") -> Measure | None:
    """The figure that speaks for a system."""
    found = [each for each in measures if each.kind.key == kind and each.system == system and each.best]
    return found[0] if found else None


def comparisons(measures: list[Measure]) -> list[Against]:
    """The model beside each baseline, for every kind that has both."""
    pairs = [(headline(measures, kind), headline(measures, kind, baseline)) for kind in KINDS for baseline in BASELINES]
    return [Against(model, baseline) for model, baseline in pairs if model and baseline]


def _of_rows(
    parts: Mapping[str, Mapping[str, Any]], part: str, read: Callable[[Mapping[str, Any]], list[Measure]]
) -> Iterable[Measure]:
    for row in parts.get(part, {}).get("rows", []):
        yield from read(row)


def _unit_measures(row: Mapping[str, Any]) -> list[Measure]:
    valid = row.get("valid") or {}
    if valid.get("pnmi") is None:
        return []
    interval = _interval(row, valid["pnmi"], valid, "pnmi")
    return [_measure("pnmi", row, valid["pnmi"], *interval, best=bool(row.get("best")))]


def _abx_measures(row: Mapping[str, Any]) -> list[Measure]:
    """Angular distance of continuous features: the one that papers report (ZeroSpeech 2021)."""
    if row.get("features") != "continuous" or row.get("distance") != "angular":
        return []
    return [_measure(f"abx_{row['mode']}", row, row["error_rate"], row.get("low"), row.get("high"))]


def _probe_measures(row: Mapping[str, Any]) -> list[Measure]:
    names = ("per", "cer", "wer") if row.get("task") == "ctc" else ("accuracy",)
    found = []
    for name in names:
        if row.get(name) is not None:
            kind = f"probe_{name if row['task'] == 'ctc' else row['task']}"
            found.append(_measure(kind, row, row[name], *_interval(row, row[name], row, name)))
    return found


def _interval(
    row: Mapping[str, Any], value: float, figures: Mapping[str, Any], name: str
) -> tuple[float, float] | tuple[None, None]:
    """Value less and plus the spread over seeds; unknown for one seed."""
    spread = figures.get("spread", {}).get(name)
    several = isinstance(row.get("seeds"), list) and len(row["seeds"]) > 1
    return (value - spread, value + spread) if several and spread is not None else (None, None)


def _measure(
    kind: str, row: Mapping[str, Any], value: float, low: float | None, high: float | None, *, best: bool = False
) -> Measure:
    layer = row.get("layer") or None
    return Measure(KINDS[kind], row["system"], row.get("title", row["system"]), layer, value, low, high, best)


def _with_best(measures: list[Measure], chosen: Mapping[tuple[str, str], int | None]) -> list[Measure]:
    """Mark one layer per kind, system and title: the learned mix, else the one chosen for the units, else the best."""

    def rank(each: Measure) -> tuple[bool, bool, bool, float]:
        value = each.value if each.kind.higher_is_better else -each.value
        return each.best, each.layer is None, each.layer == chosen.get((each.system, each.title)), value

    first: dict[tuple[str, str, str], int] = {}
    for place, each in enumerate(measures):
        key = (each.kind.key, each.system, each.title)
        if key not in first or rank(each) > rank(measures[first[key]]):
            first[key] = place
    return [replace(each, best=place in first.values()) for place, each in enumerate(measures)]
