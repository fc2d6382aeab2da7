"""Trainings of equal wall time and the units of each in, one table and one picture of all of them out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from espnet2.evaluate.units.figures import PHONE_FIGURES
from espnet2.evaluate.units.row import UnitRowJson, UnitsJson
from espnet2.evaluate.units.table import best_rows, rate_note, show
from espnet2.pretrain.run_files import DONE_NAME, DoneJson
from espnet2.train.history import points, read_history
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, require_json
from espnet2.utils.json_record import record_fault, require_record
from espnet2.utils.show import table_row

CLOCK_NAMES = {"wall": "wall time", "core": "one core's time"}
MARKS = "objectives"  # name of the part of RESULTS.md that is rewritten
PANEL_INCHES = (4.2, 3.0)
PANELS_PER_LINE = 4
HEALTH = re.compile(r"accuracy$|perplexity$|teacher_std$|target_std$")  # of these the first is drawn beside the loss


class TimedJson(TypedDict):
    """What a table needs of an entry of calibration.json, which ssl_time_training writes."""

    minutes: float  # of the training
    clock: str  # of CLOCK_NAMES
    others_share: float | None  # of the machine, used by other processes during the trial


def read_calibration(path: Path) -> dict[str, TimedJson]:
    """Name of a training -> its entry of calibration.json.

    Raises:
        UserError: the file is missing or damaged, or lacks something of an entry.
    """
    remedy = "run ssl_time_training first"
    entries = require_json(path, remedy)
    for name, entry in entries.items():
        fault = record_fault(entry, TimedJson, f"{name}.") if isinstance(entry, dict) else f"has {entry!r} as {name}"
        if fault:
            raise UserError(f"{path}: {fault}: delete that entry and {remedy}")
    return entries


def results_table(
    units: UnitsJson, experiments: Mapping[str, Path], calibration: Mapping[str, TimedJson], reference: str
) -> str:
    """Markdown: what the units are worth, what the training took, and PNMI layer by layer.

    Args:
        units: what `evaluate_units` returned, of aligned sets.
        experiments: name of a row -> its exp/<name>, for those that were trained.
        calibration: calibration.json of ssl_time_training.
        reference: the row that all are compared with, beside the first (MFCC).
    """
    if any("best" not in row for row in units["rows"]):
        raise UserError("the units are of an older version of ssl_evaluate_units: remove their JSON file, run it again")
    rows = {row["title"]: row for row in best_rows(units["rows"])}
    if any("pnmi" not in row["valid"] for row in rows.values()):
        raise UserError(f"the units of {units['valid']['set']} were measured without phones: nothing to compare")
    baselines = [name for name in (next(iter(rows)), reference) if name in rows]
    titles = [_shown(name) for name in baselines]
    spans = sorted({(entry["minutes"], entry["clock"]) for name, entry in calibration.items() if name in experiments})
    length = " and ".join(f"{minutes:g} minutes of {CLOCK_NAMES[clock]}" for minutes, clock in spans)
    noisy = [name for name, entry in calibration.items() if name in experiments and not _is_quiet(entry)]
    valid, train = units["valid"], units["train"]
    lines = [
        f"Every objective trains for {length}: as many updates as a trial of each said would fit "
        "(calibration.json), so a run under load has the same number. "
        f"Units: K = {units['num_clusters']}, {units['frame_rate']:g} frames per second, {valid['num_frames']:,} "
        f"held-out frames of {valid['num_utterances']} utterances, silence included; units learned and layer chosen on "
        f"{train['num_frames']:,} training frames; mean over {len(units['seeds'])} seeds of k-means ± (largest - "
        f"smallest).{rate_note(units)} Differences in PNMI are bold where they exceed both spreads together."
        + (f" The machine was not quiet during the trials of {', '.join(noisy)}." if noisy else ""),
        "",
        table_row(
            [
                *("units", "layer", "phone purity", "cluster purity", "PNMI"),
                *(f"against {title}" for title in titles),
                *("updates", "s of audio", "valid loss", "training"),
            ]
        ),
        f"|---|--:|--:|--:|--:|{'--:|' * len(titles)}--:|--:|--:|--:|",
    ]
    for title, row in rows.items():
        figures = [show(row["valid"], figure) for figure in PHONE_FIGURES]
        against = [_difference(row, rows[name]) for name in baselines]
        used = f" ({row['valid']['used_clusters']:.0f} in use)" if row["system"] == "codes" else ""
        cells = [_shown(title) + used, str(row["layer"] or "-"), *figures, *against, *_training(experiments.get(title))]
        lines.append(table_row(cells))
    return "\n".join([*lines, "", *_layer_table(units)]) + "\n"


def _shown(name: str) -> str:
    return name.replace("_", " ")


def _is_quiet(entry: TimedJson) -> bool:
    from espnet2.pretrain.trial import QUIET_SHARE

    return entry["others_share"] is None or entry["others_share"] <= QUIET_SHARE


def _difference(row: UnitRowJson, other: UnitRowJson) -> str:
    """PNMI of a row less that of another."""
    if row["title"] == other["title"]:
        return "-"
    difference = row["valid"]["pnmi"] - other["valid"]["pnmi"]
    clear = abs(difference) > sum(compared["valid"]["spread"]["pnmi"] for compared in (row, other))
    return f"**{difference:+.3f}**" if clear else f"{difference:+.3f}"


def _training(experiment: Path | None) -> list[str]:
    """Updates, seconds of audio heard, loss on the valid set and wall time of a finished training."""
    if experiment is None:
        return ["-"] * 4
    done = require_record(experiment / DONE_NAME, DoneJson, "the training has not ended; run the same command again")
    audio = [line.figures["audio_per_update"] for line in read_history(experiment) if line.dataset == "train"]
    heard = f"{sum(audio) / len(audio) * done['updates']:,.0f}" if audio else "-"
    minutes, seconds = divmod(round(done["wall_seconds"]), 60)
    return [f"{done['updates']:,}", heard, f"{done['valid']['loss']:.3f}", f"{minutes}:{seconds:02d}"]


def _layer_table(units: UnitsJson) -> list[str]:
    """Mean PNMI over the seeds, on the valid set; MFCC have no layers."""
    scores: dict[str, dict[int, float]] = {}
    for row in units["rows"]:
        if row["layer"]:
            scores.setdefault(row["title"], {})[row["layer"]] = row["valid"]["pnmi"]
    lines = [
        "PNMI by layer:",
        "",
        table_row(["layer", *map(_shown, scores)]),
        f"|--:|{'--:|' * len(scores)}",
    ]
    for number in sorted({layer for layers in scores.values() for layer in layers}):
        cells = [f"{layers[number]:.3f}" if number in layers else "-" for layers in scores.values()]
        lines.append(table_row([number, *cells]))
    return lines


def draw_objectives(experiments: Mapping[str, Path], path: Path) -> None:
    """One panel per training: loss of train and valid over updates and, with an axis of its own, a figure of health."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(PANELS_PER_LINE, len(experiments))
    lines = -(-len(experiments) // columns)
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * lines), dpi=80)
    for number, (name, experiment) in enumerate(experiments.items()):
        axes = figure.add_subplot(lines, columns, number + 1)
        history = read_history(experiment)
        for dataset, style in (("train", "-"), ("valid", "o")):
            axes.plot(*_columns(points(history, dataset, "loss")), style, color="tab:blue", markersize=3)
        known = {name for line in history if line.dataset == "train" for name in line.figures}
        health = next((key for key in sorted(known) if HEALTH.search(key)), None)
        axes.set_title(f"{_shown(name)}: loss (blue)" + (f", {health} (orange)" if health else ""), fontsize=8)
        axes.set_xlabel("update", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        if health:
            second = axes.twinx()
            second.plot(*_columns(points(history, "train", health)), color="tab:orange", linewidth=1)
            second.tick_params(labelsize=7)
    figure.tight_layout()
    with atomic_write(path, "wb") as stream:
        FigureCanvasAgg(figure).print_png(stream)


def _columns(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Updates, and values."""
    return [update for update, _ in pairs], [value for _, value in pairs]
