"""Finished experiments, their table of units and the times of their stages in, one table for a person out."""

import argparse
from pathlib import Path

from espnet2.evaluate.report.stages import read_stages
from espnet2.evaluate.units.figures import PHONE_FIGURES
from espnet2.evaluate.units.row import UnitRowJson, UnitsJson
from espnet2.evaluate.units.table import best_rows, show
from espnet2.pretrain.run_files import DONE_NAME, DoneJson
from espnet2.utils.clock import format_seconds
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write
from espnet2.utils.json_record import require_record

REMEDY = "finish the run first (stage 7 writes train.done, 8 the units)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--experiments",
        nargs="+",
        required=True,
        metavar="TITLE=EXP",
        help="rows with losses; the title is that of its row among the units",
    )
    parser.add_argument("--units", type=Path, required=True, help="units.json of ssl_evaluate_units")
    parser.add_argument("--stages", nargs="*", default=[], metavar="TITLE=FILE", help="stages.tsv of each recipe")
    parser.add_argument("--output", type=Path, help="write the Markdown there, too")
    arguments = parser.parse_args()
    experiments = dict(_pair(word, "--experiments") for word in arguments.experiments)
    text = "\n".join(
        [
            *_result_table(
                require_record(arguments.units, UnitsJson, REMEDY),
                {title: Path(exp) for title, exp in experiments.items()},
            ),
            *_time_table([_pair(word, "--stages") for word in arguments.stages]),
            "",
            *_paths(experiments),
        ]
    )
    if arguments.output:
        with atomic_write(arguments.output) as stream:
            stream.write(text + "\n")
    print(text)


def _pair(word: str, option: str) -> tuple[str, str]:
    title, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{option}: '{word}' is not <title>=<path>")
    return title, value


def _result_table(units: UnitsJson, experiments: dict[str, Path]) -> list[str]:
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
        figures = " | ".join(show(row["valid"], figure) for figure in PHONE_FIGURES)
        cells = [row["title"].replace("_", " "), str(row["layer"] or "-"), figures, _training(row, experiments)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _training(row: UnitRowJson, experiments: dict[str, Path]) -> str:
    """Updates, loss and masked accuracy on the valid set, and wall time; dashes for what was not trained."""
    if row["title"] not in experiments:
        return "- | - | - | -"
    done = require_record(experiments[row["title"]] / DONE_NAME, DoneJson, REMEDY)
    loss, accuracy = done["valid"]["loss"], done["valid"]["masked_accuracy"]
    return f"{done['updates']:,} | {loss:.3f} | {accuracy:.1%} | {format_seconds(done['wall_seconds'])}"


def _time_table(recipes: list[tuple[str, str]]) -> list[str]:
    """Wall time of each stage of the last run of each recipe."""
    lines = ["", "| recipe | stage | wall time |", "|---|---|--:|"] if recipes else []
    for title, path in recipes:
        stages = [(stage, stage.seconds) for stage in read_stages(Path(path)) if stage.seconds is not None]
        lines += [f"| {title} | {stage.number}: {stage.title} | {format_seconds(took)} |" for stage, took in stages]
        lines.append(f"| {title} | all | {format_seconds(sum(took for _, took in stages))} |")
    return lines


def _paths(experiments: dict[str, str]) -> list[str]:
    """Where the models and pictures are."""
    return [
        f"{title.replace('_', ' ')}: model {exp}/checkpoints/latest, pictures {exp}/images, log {exp}/train.log"
        for title, exp in experiments.items()
    ]


if __name__ == "__main__":
    run_main(main)
