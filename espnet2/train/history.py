"""exp/<name>/history.jsonl in, its lines and the points of single curves out."""

import json
import math
import re
from pathlib import Path
from typing import Any

FAMILY = re.compile(r"^(.+?)(?:_layer|_)(\d+)$")  # code_perplexity_layer3, code_perplexity_1, error_decile_9


def read_history(experiment: Path) -> list[dict[str, Any]]:
    """The lines of history.jsonl; a line that a kill cut short is left out."""
    path = experiment / "history.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def points(rows: list[dict[str, Any]], dataset: str, name: str) -> list[tuple[float, float]]:
    """(update, value) of one figure, without values that are not finite."""
    found = [(row["update"], row[name]) for row in rows if row["dataset"] == dataset and name in row]
    return [(update, value) for update, value in found if math.isfinite(value)]


def figure_names(rows: list[dict[str, Any]]) -> list[str]:
    """All figures of a history but the number of the update, sorted."""
    return sorted({name for row in rows for name in row} - {"dataset", "update", "epoch", "eta_seconds"})


def family(name: str) -> tuple[str, int | None]:
    """The name without the number of its layer, book or decile, and that number.

    >>> family("code_perplexity_layer3"), family("loss")
    (('code_perplexity', 3), ('loss', None))
    """
    match = FAMILY.match(name)
    return (match[1], int(match[2])) if match else (name, None)
