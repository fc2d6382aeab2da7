"""The JSON of the evaluation's parts in, one flat list of comparable figures out: all that pages and tables show."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from espnet2.evaluate.measure import Against, Measure
from espnet2.evaluate.part import PartJson
from espnet2.evaluate.parts import PARTS

BASELINES = ("mfcc", "logmel", "untrained")
KINDS = {kind.key: kind for part in PARTS.values() for kind in part.kinds}


def measures_of(parts: Mapping[str, PartJson]) -> list[Measure]:
    """All figures of the parts that were computed, each system with the layer that speaks for it marked.

    Args:
        parts: name -> content of exp/<name>/eval/<name>.json.
    """
    measures = [measure for name, part in PARTS.items() if name in parts for measure in part.measures(parts[name])]
    return _with_best(
        measures, {(measure.system, measure.title): measure.layer for measure in measures if measure.best}
    )


def headline(measures: Iterable[Measure], kind: str, system: str = "model") -> Measure | None:
    """The figure that speaks for a system."""
    matching = [
        measure for measure in measures if measure.kind.key == kind and measure.system == system and measure.best
    ]
    return matching[0] if matching else None


def rules_of(measures: Iterable[Measure], kind: str) -> list[str]:
    """What the figures of a kind are of (items, clock); figures of several rules must not be ranked."""
    return sorted({measure.rule for measure in measures if measure.kind.key == kind and measure.rule})


def comparisons(measures: list[Measure]) -> list[Against]:
    """The model beside each baseline, for every kind that has both."""
    pairs = [(headline(measures, kind), headline(measures, kind, baseline)) for kind in KINDS for baseline in BASELINES]
    return [Against(model, base) for model, base in pairs if model and base and model.rule == base.rule]


def _with_best(measures: list[Measure], chosen: Mapping[tuple[str, str], int | None]) -> list[Measure]:
    """Mark one layer per kind, system and title: the learned mix, else the one that a part chose, else the best.

    Args:
        chosen: (system, title) -> the layer that was chosen on train, as the units are.
    """

    def rank(measure: Measure) -> tuple[bool, bool, bool, float]:
        value = measure.value if measure.kind.higher_is_better else -measure.value
        return measure.best, measure.layer is None, measure.layer == chosen.get((measure.system, measure.title)), value

    first: dict[tuple[str, str, str], int] = {}
    for index, measure in enumerate(measures):
        key = (measure.kind.key, measure.system, measure.title)
        if key not in first or rank(measure) > rank(measures[first[key]]):
            first[key] = index
    return [replace(measure, best=index in first.values()) for index, measure in enumerate(measures)]
