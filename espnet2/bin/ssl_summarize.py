"""Finished experiments, their table of units and the times of their stages in, one table for a person out."""

import argparse
from pathlib import Path

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write


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
    recipes = [_pair(word, "--stages") for word in arguments.stages]
    from espnet2.evaluate.report.summary import summarise

    text = summarise(arguments.units, experiments, recipes)
    if arguments.output:
        with atomic_write(arguments.output) as stream:
            stream.write(text + "\n")
    print(text)


def _pair(word: str, option: str) -> tuple[str, str]:
    title, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{option}: '{word}' is not <title>=<path>")
    return title, value


if __name__ == "__main__":
    run_main(main)
