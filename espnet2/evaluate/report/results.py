"""Experiments in, their rows in a table of RESULTS.md out; rows of others stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet2.evaluate.measure import Against, Measure
from espnet2.evaluate.report.experiment import Experiment
from espnet2.evaluate.report.marked_page import put_between_marks, text_between_marks
from espnet2.evaluate.report.measures import KINDS, comparisons, headline
from espnet2.evaluate.spread import MEANING
from espnet2.utils.clock import format_seconds
from espnet2.utils.show import BAR, table_row

MARKS = "evaluation"  # name of the part of RESULTS.md that is rewritten
SHOWN = tuple(key for key, kind in KINDS.items() if kind.in_results)
LEGEND = (
    "Figures of held-out data. Beside each the layer, then MFCC and the same model untrained, each with ▲ where the "
    "model is clearly better, ▼ where it is clearly worse, = where the difference is within the spread. "
    f"{MEANING}. Rows are comparable where valid set, K and frame rate agree."
)
TRAINING = ("updates", "audio heard", "valid loss", "training")
HEAD = ("experiment", "valid set", "K", *(KINDS[key].title for key in SHOWN), *TRAINING)
SIGNS = {"better": "▲", "worse": "▼", "equal": "="}
NONE = "-"


@dataclass(frozen=True)
class Cell:
    """One figure of a table, and what it is compared with."""

    text: str
    notes: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.notes})" if self.notes else self.text


def figure_cells(experiment: Experiment) -> list[Cell]:
    """One for each of SHOWN."""
    against = comparisons(experiment.measures)
    return [_cell(headline(experiment.measures, key), against) for key in SHOWN]


def _cell(model: Measure | None, against: Sequence[Against]) -> Cell:
    if model is None:
        return Cell(NONE)
    beside = {comparison.baseline.system: comparison for comparison in against if comparison.model is model}
    shown = [beside[system] for system in ("mfcc", "untrained") if system in beside]
    compared = ", ".join(
        f"{SIGNS[comparison.verdict]} {model.kind.text(comparison.baseline.value)}" for comparison in shown
    )
    return Cell(model.text, ": ".join(filter(None, [", ".join(filter(None, [model.where, model.rule])), compared])))


def training_cells(experiment: Experiment) -> list[str]:
    """Updates, audio heard, loss on the valid set, wall time; dashes for what is not known."""
    done = experiment.done
    losses = [line.figures["loss"] for line in experiment.history if line.dataset == "valid" and "loss" in line.figures]
    return [
        f"{experiment.updates:,}" if experiment.updates else NONE,
        f"{experiment.heard_seconds / 3600:.1f} h" if experiment.heard_seconds else NONE,
        f"{losses[-1]:.3f}" if losses else NONE,
        format_seconds(done["wall_seconds"]) if done and "wall_seconds" in done else NONE,
    ]


def row_of(experiment: Experiment) -> list[Cell]:
    """All cells of HEAD."""
    units = experiment.units
    valid_set = Path(units["valid"]["set"]).name if units and "valid" in units else NONE
    clusters = str(units.get("num_clusters", NONE)) if units else NONE
    return [
        *map(Cell, (experiment.name, valid_set, clusters)),
        *figure_cells(experiment),
        *map(Cell, training_cells(experiment)),
    ]


def write_results(page: Path, experiments: Sequence[Experiment]) -> None:
    """Renew the rows of these experiments in a page, or make the page; columns that nobody has are left out.

    Raises:
        UserError: the page has no marks.
    """
    rows = _read_rows(text_between_marks(page, MARKS))
    rows |= {experiment.name: dict(zip(HEAD, map(str, row_of(experiment)), strict=True)) for experiment in experiments}
    head = [name for name in HEAD if any(row.get(name, NONE) != NONE for row in rows.values())]
    lines = [table_row(head), f"|---|{'--:|' * (len(head) - 1)}"]
    lines += [table_row([row.get(name, NONE) for name in head]) for row in rows.values()]
    put_between_marks(page, "\n".join([LEGEND, "", *lines]) + "\n", title="Evaluation", name=MARKS)


def _read_rows(text: str) -> dict[str, dict[str, str]]:
    """Experiment -> column -> cell of the table that is there."""
    lines = [
        [cell.strip().replace(BAR, "|") for cell in line.strip().removeprefix("|").removesuffix("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return {cells[0]: dict(zip(lines[0], cells, strict=False)) for cells in lines[2:]}
