"""Finished experiments, their units and the times of their stages in, one table for a person out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet2.evaluate.report.stages import read_stages
from espnet2.evaluate.units.figures import PHONE_FIGURES
from espnet2.evaluate.units.row import UnitRowJson, UnitsJson
from espnet2.evaluate.units.table import best_rows, show
from espnet2.pretrain.run_files import DONE_NAME, DoneJson
from espnet2.utils.clock import format_seconds
from espnet2.utils.json_record import require_record
from espnet2.utils.show import table_row

REMEDY = "finish the run first (stage 7 writes train.done, 8 the units)"


def summarise(units: Path, experiments: Mapping[str, str], recipes: Sequence[tuple[str, str]]) -> str:
    """Markdown: what the units are worth, how the trainings ended, how long stages took, and where everything is.

    Args:
        units: units.json of ssl_evaluate_units.
        experiments: title of a row of the units -> its exp/<name>, for those that were trained.
        recipes: title and stages.tsv of each.

    Raises:
        UserError: a training has not ended, or a file is missing or damaged.
    """
    table = _result_table(require_record(units, UnitsJson, REMEDY), experiments)
    return "\n".join([*table, *_time_table(recipes), "", *_paths(experiments)])


def _result_table(units: UnitsJson, experiments: Mapping[str, str]) -> list[str]:
    """Units of every row and, for those that were trained, how the training ended."""
    valid = units["valid"]
    lines = [
        f"Units against phones: K = {units['num_clusters']}, {units['frame_rate']:g} frames per second, "
        f"{valid['num_frames']:,} held-out frames of {valid['num_utterances']} utterances, silence included; "
        f"units learned and layer chosen on training frames; mean over {len(units['seeds'])} seeds of k-means "
        "± (largest - smallest).",
        "",
        "| | layer | phone purity | cluster purity | PNMI | updates | valid loss | masked accuracy | training |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in best_rows(units["rows"]):
        figures = [show(row["valid"], figure) for figure in PHONE_FIGURES]
        cells = [row["title"].replace("_", " "), str(row["layer"] or "-"), *figures, *_training(row, experiments)]
        lines.append(table_row(cells))
    return lines


def _training(row: UnitRowJson, experiments: Mapping[str, str]) -> list[str]:
    """Updates, loss and masked accuracy on the valid set, and wall time; dashes for what was not trained."""
    if row["title"] not in experiments:
        return ["-"] * 4
    done = require_record(Path(experiments[row["title"]]) / DONE_NAME, DoneJson, REMEDY)
    loss, accuracy = done["valid"]["loss"], done["valid"]["masked_accuracy"]
    return [f"{done['updates']:,}", f"{loss:.3f}", f"{accuracy:.1%}", format_seconds(done["wall_seconds"])]


def _time_table(recipes: Sequence[tuple[str, str]]) -> list[str]:
    """Wall time of each stage of the last run of each recipe."""
    lines = ["", "| recipe | stage | wall time |", "|---|---|--:|"] if recipes else []
    for title, path in recipes:
        stages = [(stage, stage.seconds) for stage in read_stages(Path(path)) if stage.seconds is not None]
        lines += [table_row([title, f"{stage.number}: {stage.title}", format_seconds(took)]) for stage, took in stages]
        lines.append(table_row([title, "all", format_seconds(sum(took for _, took in stages))]))
    return lines


def _paths(experiments: Mapping[str, str]) -> list[str]:
    """Where the models and pictures are."""
    return [
        f"{title.replace('_', ' ')}: model {exp}/checkpoints/latest, pictures {exp}/images, log {exp}/train.log"
        for title, exp in experiments.items()
    ]
