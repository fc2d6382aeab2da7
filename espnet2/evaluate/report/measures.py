"""The JSON of the evaluation's parts in, one flat list of comparable figures out: all that pages and tables show."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from espnet2.evaluate.measure import Against, Measure
from espnet2.evaluate.parts import PARTS

BASELINES = ("mfcc", "logmel", "untrained")
KINDS = {kind.key: kind for part in PARTS.values() for kind in part.kinds}


def measures_of(parts: Mapping[str, Mapping[str, Any]]) -> list[Measure]:
    """All figures of the parts that were computed, each system with the layer that speaks for it marked.

    Args:
        parts: name -> content of exp/<name>/eval/<name>.json.
    """
    found = [measure for name, part in PARTS.items() if name in parts for measure in part.measures(parts[name])]
    return _with_best(found, {(each.system, each.title): each.layer for each in found if each.best})


def headline(measures: Iterable[Measure], kind: str, system: str = "model") -> Measure | None:
    """The figure that speaks for a system."""
    found = [each for each in measures if each.kind.key == kind and each.system == system and each.best]
    return found[0] if found else None


def comparisons(measures: list[Measure]) -> list[Against]:
    """The model beside each baseline, for every kind that has both."""
    pairs = [(headline(measures, kind), headline(measures, kind, baseline)) for kind in KINDS for baseline in BASELINES]
    return [Against(model, baseline) for model, baseline in pairs if model and baseline]


def _with_best(measures: list[Measure], chosen: Mapping[tuple[str, str], int | None]) -> list[Measure]:
    """Mark one layer per kind, system and title: the learned mix, else the one that a part chose, else the best.

    Args:
        chosen: (system, title) -> the layer that was chosen on train, as the units are.
    """

    def rank(each: Measure) -> tuple[bool, bool, bool, float]:
        value = each.value if each.kind.higher_is_better else -each.value
        return each.best, each.layer is None, each.layer == chosen.get((each.system, each.title)), value

    first: dict[tuple[str, str, str], int] = {}
    for place, each in enumerate(measures):
        key = (each.kind.key, each.system, each.title)
        if key not in first or rank(each) > rank(measures[first[key]]):
            first[key] = place
    return [replace(each, best=place in first.values()) for place, each in enumerate(measures)]
