"""A trained and evaluated model in, exp/<name>/report.html out: one page without network, and a row of RESULTS.md."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path, help="exp/<name>; what is missing there is said in the page")
    parser.add_argument("--results", type=Path, metavar="RESULTS.md", help="write or renew the row of this experiment")
    arguments = parser.parse_args()

    from espnet2.evaluate.report.experiment import read_experiment
    from espnet2.evaluate.report.report import write_report
    from espnet2.evaluate.report.results import write_results
    from espnet2.evaluate.tracked import track_evaluation

    experiment = read_experiment(arguments.exp)
    if arguments.results:
        write_results(arguments.results, [experiment])
    print(write_report(experiment))
    track_evaluation(experiment, lambda warning: print(f"ssl_report: warning: {warning}", file=sys.stderr))


if __name__ == "__main__":
    run_main(main)
