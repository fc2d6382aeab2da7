"""Finished experiments, their table of units and the times of their stages in, one table for a person out."""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", nargs="+", required=True, metavar="TITLE=EXP",
                        help="rows with losses; the title is that of its row among the units")
    parser.add_argument("--units", type=Path, required=True, help="units.json of ssl_evaluate_units")
    parser.add_argument("--stages", nargs="*", default=[], metavar="TITLE=FILE", help="stages.tsv of each recipe")
    parser.add_argument("--output", type=Path, help="write the Markdown there, too")
    arguments = parser.parse_args()
    experiments = dict(_pair(word, "--experiments") for word in arguments.experiments)
    text = "\n".join([
        *_result_table(_read(arguments.units), {title: Path(exp) for title, exp in experiments.items()}),
        *_time_table([_pair(word, "--stages") for word in arguments.stages]),
        "",
        *_paths(experiments),
    ])
    if arguments.output:
        with atomic_write(arguments.output) as stream:
            stream.write(text + "\n")
    print(text)


def _pair(word: str, option: str) -> tuple[str, str]:
    title, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{option}: '{word}' is not <title>=<path>")
    return title, value


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: finish the run first (stage 7 writes train.done, 8 the units)") from None


def _result_table(units: dict[str, Any], experiments: dict[str, Path]) -> list[str]:
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
    for row in units["rows"]:
        figures = " | ".join(
            f"{row[figure]:.3f} ± {row['spread'][figure]:.3f}" for figure in ("phone_purity", "cluster_purity", "pnmi")
        )
        cells = [row["name"].replace("_", " "), str(row["layer"] or "-"), figures, _training(row, experiments)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _training(row: dict[str, Any], experiments: dict[str, Path]) -> str:
    """Updates, loss and masked accuracy on the valid set, and wall time; dashes for what was not trained."""
    if row["name"] not in experiments:
        return "- | - | - | -"
    done = _read(experiments[row["name"]] / "train.done")
    loss, accuracy = done["valid"]["loss"], done["valid"]["masked_accuracy"]
    return f"{done['updates']:,} | {loss:.3f} | {accuracy:.1%} | {_clock(done['wall_seconds'])}"


def _time_table(recipes: list[tuple[str, str]]) -> list[str]:
    """Wall time of each stage of the last run of each recipe."""
    lines = ["", "| recipe | stage | wall time |", "|---|---|--:|"] if recipes else []
    for title, path in recipes:
        rows = [line.split("\t") for line in Path(path).read_text(encoding="utf-8").splitlines()]
        total = 0
        for row, following in pairwise(rows):
            seconds = int(following[0]) - int(row[0])
            if row[2] != "end":
                lines.append(f"| {title} | {row[2]}: {row[3]} | {_clock(seconds)} |")
                total += seconds
        lines.append(f"| {title} | all | {_clock(total)} |")
    return lines


def _paths(experiments: dict[str, str]) -> list[str]:
    """Where the models and pictures are."""
    return [
        f"{title.replace('_', ' ')}: model {exp}/checkpoints/latest, pictures {exp}/images, log {exp}/train.log"
        for title, exp in experiments.items()
    ]


def _clock(seconds: float) -> str:
    """
    >>> _clock(61.4)
    '1:01'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


if __name__ == "__main__":
    run_main(main)
