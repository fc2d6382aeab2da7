"""exp/<name>/history.jsonl in, its lines and the points of single curves out."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet2.utils.errors import UserError

OLD_DOMAIN = "old_"  # before the figures of a set of the domain that a model came from, see `espnet2.train.forgetting`
FAMILY = re.compile(r"^(.+?)(?:_layer|_)(\d+)$")  # code_perplexity_layer3, code_perplexity_1, error_decile_9


@dataclass(frozen=True)
class HistoryLine:
    """One line of history.jsonl: an interval of training, or a validation."""

    dataset: str  # train or valid
    update: int
    figures: Mapping[str, float]


def read_history(experiment: Path) -> list[HistoryLine]:
    """The lines of history.jsonl; a line that a kill cut short is left out.

    Raises:
        UserError: a line is something else.
    """
    path = experiment / "history.jsonl"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    parsed = []
    for number, line in enumerate(lines, 1):
        values = parse_line(line)
        if values is not None:
            parsed.append(values)
        elif _is_json(line):  # whole, but something else
            raise UserError(
                f"{path}:{number}: no line of a training's history: '{line[:60]}'; was the file edited? Remove the line"
            )
    return parsed


def parse_line(line: str) -> HistoryLine | None:
    """What a line of history.jsonl holds; None where a kill cut it short, or it is something else."""
    try:
        figures = json.loads(line)
        return HistoryLine(str(figures.pop("dataset")), int(figures.pop("update")), figures)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def points(lines: Iterable[HistoryLine], dataset: str, name: str) -> list[tuple[float, float]]:
    """(update, value) of one figure, without values that are not finite."""
    curve = [(line.update, line.figures[name]) for line in lines if line.dataset == dataset and name in line.figures]
    return [(update, value) for update, value in curve if math.isfinite(value)]


def figure_names(lines: Iterable[HistoryLine]) -> list[str]:
    """All figures of a history, sorted."""
    return sorted({name for line in lines for name in line.figures} - {"epoch", "eta_seconds"})


def family(name: str) -> tuple[str, int | None]:
    """The name without the number of its layer, book or decile, and that number.

    >>> family("code_perplexity_layer3"), family("loss")
    (('code_perplexity', 3), ('loss', None))
    """
    match = FAMILY.match(name)
    return (match[1], int(match[2])) if match else (name, None)
