"""exp/stages.tsv in, how long each stage of a recipe took out."""

from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple


class StageTime(NamedTuple):
    """One started stage."""

    script: str  # ssl1.sh, hubert1.sh
    number: str
    title: str  # "in -> out"
    seconds: int | None  # None: it has not ended, or nobody saw it end


def read_stages(path: Path) -> list[StageTime]:
    """Every started stage, in the order of time: it ends where the next line begins.

    A line that is no stage (cut short, or of another file) is left out.
    """
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row) == 4 and row[0].isdigit()]
    return [
        StageTime(row[1], row[2], row[3], None if following is None else int(following[0]) - int(row[0]))
        for row, following in zip_longest(rows, rows[1:])
        if row[2] != "end"
    ]
