"""The table of an evaluation of units: the rows as a person asks for them, and as they are shown."""

from collections.abc import Iterable
from pathlib import Path

from espnet2.evaluate.spread import with_spread
from espnet2.evaluate.systems import BARE, KINDS, System
from espnet2.evaluate.units.figures import LABEL_FIGURES, PHONE_FIGURES, Figure
from espnet2.evaluate.units.row import SetFiguresJson, UnitRowJson, UnitsJson
from espnet2.models.find import ModelFiles, find_model
from espnet2.utils.errors import UserError
from espnet2.utils.show import table_row

DEFAULT_TITLES = {"mfcc": "MFCC", "logmel": "log-mel", "untrained": "untrained"}
HEADS = {
    "bitrate": "bits/s",
    "bitrate_deduplicated": "bits/s without repeats",
    "used_clusters": "used",
    "mean_run_frames": "run (frames)",
    "pnmi": "PNMI",
}


def parse_rows(text: str) -> list[System]:
    """ "mfcc untrained:exp/a model:exp/a@best_loss title=model:exp/b" -> systems, with made-up titles where none is.

    Raises:
        UserError: an unknown kind, a model without its folder, or no such model.
    """
    systems: list[System] = []
    models: dict[str, ModelFiles] = {}  # a model of several rows is found once
    for word in text.split():
        name, equals, spec = word.rpartition("=")
        kind, _, rest = spec.partition(":")
        model, _, tag = rest.partition("@")
        if kind not in KINDS or (kind in BARE) == bool(model):
            raise UserError(
                f"--rows: '{word}' is none of mfcc, logmel, untrained:exp/<name>, model:exp/<name>[@<checkpoint>], "
                "codes:exp/<name> (each may start with '<title>=')"
            )
        made_up = DEFAULT_TITLES | {"codes": f"codes of {Path(model).name}"}
        title = name if equals else made_up.get(kind, Path(model).name)
        if model and rest not in models:
            models[rest] = find_model(model, tag or "latest")
        systems.append(System(kind, title, models.get(rest)))
    if not systems:
        raise UserError("--rows is empty: nothing to evaluate")
    return systems


def best_rows(rows: Iterable[UnitRowJson]) -> list[UnitRowJson]:
    """The row of each system that was chosen on train; the last layer where there was nothing to choose by."""
    systems: dict[tuple[str, str], list[UnitRowJson]] = {}
    for row in rows:
        systems.setdefault((row["system"], row["title"]), []).append(row)
    return [next((row for row in system_rows if row["best"]), system_rows[-1]) for system_rows in systems.values()]


def markdown_table(report: UnitsJson) -> str:
    """One line for each system, with what it was measured on."""
    train, valid, rows = report["train"], report["valid"], best_rows(report["rows"])
    aligned = "pnmi" in rows[0]["valid"]
    figures = PHONE_FIGURES if aligned else LABEL_FIGURES
    learned = f"{train['num_frames']:,} frames of {train['set']}"
    where = f"learned and {'layer chosen' if aligned else 'last layer'} on {learned}"
    if aligned and "pnmi" not in rows[0]["train"]:
        where = f"learned on {learned}, layer chosen on {valid['set']} itself"
    seeds = len(report["seeds"])
    many = f"Mean over {seeds} seeds of k-means, ± largest less smallest." if seeds > 1 else "One seed of k-means."
    lines = [
        f"K = {report['num_clusters']}, {report['frame_rate']:g} frames per second, {valid['num_frames']:,} frames of "
        f"{valid['num_utterances']:,} utterances of {valid['set']}, silence included; units "
        f"{where}. {many}{rate_note(report)}",
        *[f"Note: {note}." for note in report["notes"]],
        "",
        table_row(["units", "layer", *(HEADS.get(figure, figure.replace("_", " ")) for figure in figures)]),
        "|---|--:|" + "--:|" * len(figures),
    ]
    for row in rows:
        cells = [show(row["valid"], figure, spread=seeds > 1) for figure in figures]
        lines.append(table_row([row["title"], row["layer"] or "-", *cells]))
    return "\n".join(lines) + "\n"


def show(figures: SetFiguresJson, name: Figure, *, spread: bool = True) -> str:
    """A figure of one set, such as "0.563 ± 0.017"."""
    form = ".3f" if name in PHONE_FIGURES else ".1f"
    return with_spread(figures[name], figures["spread"][name] if spread else None, form=form)


def rate_note(report: UnitsJson) -> str:
    """How rows of another frame rate were compared; empty where there are none."""
    rate, notes, rows = report["frame_rate"], [], best_rows(report["rows"])
    for row_rate in sorted({row["own_rate"] for row in rows} - {rate}, reverse=True):
        names = ", ".join(row["title"].replace("_", " ") for row in rows if row["own_rate"] == row_rate)
        what = (
            f"one frame of {row_rate / rate:g} is kept"
            if row_rate > rate
            else f"each frame counts {rate / row_rate:g} times"
        )
        notes.append(f" {names}: {row_rate:g} frames per second, {what}.")
    return "".join(notes)
