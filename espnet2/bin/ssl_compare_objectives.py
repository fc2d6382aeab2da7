"""Finished trainings, their units and their calibration in, the table of RESULTS.md and a picture of all curves out."""

import argparse
import os
from pathlib import Path

from espnet2.utils.errors import UserError, run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", nargs="+", required=True, metavar="NAME=EXP", help="NAME is that of its row")
    parser.add_argument(
        "--units", type=Path, required=True, help="units.json of ssl_evaluate_units; its first row is MFCC"
    )
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.json of ssl_time_training")
    parser.add_argument("--reference", default="hubert", help="row that all are compared with (%(default)s)")
    parser.add_argument(
        "--results", type=Path, required=True, help="RESULTS.md: the part between its marks is rewritten"
    )
    parser.add_argument("--picture", type=Path, required=True, help="PNG of the curves")
    parser.add_argument("--title", default="Objectives at equal wall time", help="of a new RESULTS.md (%(default)s)")
    arguments = parser.parse_args()
    from espnet2.evaluate.report.marked_page import put_between_marks
    from espnet2.evaluate.report.objectives import MARKS, draw_objectives, read_calibration, results_table
    from espnet2.evaluate.units.row import UnitsJson
    from espnet2.utils.json_record import require_record

    experiments = {}
    for word in arguments.experiments:
        name, equals, path = word.partition("=")
        if not equals:
            raise UserError(f"--experiments: '{word}' is not <name>=<exp>")
        experiments[name] = Path(path)
    units = require_record(arguments.units, UnitsJson, "run ssl_evaluate_units first")
    calibration = read_calibration(arguments.calibration)
    table = results_table(units, experiments, calibration, arguments.reference)
    draw_objectives(experiments, arguments.picture)
    relative_picture = os.path.relpath(arguments.picture, arguments.results.parent)
    table += f"\n![loss and health of each training]({relative_picture})\n"
    put_between_marks(arguments.results, table, title=arguments.title, name=MARKS)
    print(table, end="")


if __name__ == "__main__":
    run_main(main)
