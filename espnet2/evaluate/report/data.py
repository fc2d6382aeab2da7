"""The figures of a page in, the same as CSV and JSON files beside it out, each with its clock, rule and items."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from espnet2.evaluate.published import FIGURES
from espnet2.evaluate.report.experiment import Experiment
from espnet2.utils.files import atomic_write, write_json


class FigureJson(TypedDict):
    """One figure of one layer of one system."""

    experiment: str
    figure: str  # key of its kind
    title: str  # of its kind
    system: str
    system_title: str
    layer: int | None
    value: float
    low: float | None  # the interval, where it is known
    high: float | None
    higher_is_better: bool
    speaks_for_system: bool  # the layer that tables show
    rule: str  # clock and rule: figures of two rules must not be ranked
    items: str


def write_data(
    page: Path, experiments: Sequence[Experiment], titles: Sequence[str], *, published: bool = False
) -> None:
    """Write <page>.csv with the figures and <page>.json with figures and curves, each whole or not at all.

    Args:
        titles: of the experiments.
        published: the page shows published figures, too.
    """
    named = list(zip(titles, experiments, strict=True))
    figures = [figure for title, experiment in named for figure in figures_of(experiment, title)]
    with atomic_write(page.with_suffix(".csv")) as stream:
        table = csv.DictWriter(stream, list(FigureJson.__annotations__), lineterminator="\n")
        table.writeheader()
        table.writerows(figures)
    curves = {
        title: [
            {"dataset": line.dataset, "update": line.update, "figures": _finite(line.figures)}
            for line in experiment.history
        ]
        for title, experiment in named
    }
    contents: dict[str, object] = {"figures": figures, "curves": curves}
    if published:
        contents["published"] = [figure._asdict() for figure in FIGURES]
    write_json(page.with_suffix(".json"), contents)


def _finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no word for what is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def figures_of(experiment: Experiment, title: str) -> list[FigureJson]:
    """Every figure of an evaluation."""
    return [
        {
            "experiment": title,
            "figure": measure.kind.key,
            "title": measure.kind.title,
            "system": measure.system,
            "system_title": measure.title,
            "layer": measure.layer,
            "value": measure.value,
            "low": measure.low,
            "high": measure.high,
            "higher_is_better": measure.kind.higher_is_better,
            "speaks_for_system": measure.best,
            "rule": measure.rule,
            "items": measure.items,
        }
        for measure in experiment.measures
    ]
