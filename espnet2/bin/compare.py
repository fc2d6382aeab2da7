"""Experiments in, one page of them side by side out: figures, curves over each other, what differs in the config."""

import argparse
from pathlib import Path

from espnet2.utils.errors import UserError, run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", nargs="+", type=Path, help="exp/<name>, two or more")
    parser.add_argument("--output", type=Path, default=Path("compare.html"), help="(%(default)s)")
    parser.add_argument("--results", type=Path, metavar="RESULTS.md", help="write or renew the rows of all of them")
    arguments = parser.parse_args()
    if len({path.resolve() for path in arguments.exp}) < 2:
        raise UserError("name at least two different experiments; for one there is espnet2.bin.ssl_report")

    from espnet2.evaluate.report.comparison import write_comparison
    from espnet2.evaluate.report.experiment import figures_as_written, read_experiment
    from espnet2.evaluate.report.results import write_results

    experiments = [read_experiment(path) for path in arguments.exp]
    with figures_as_written(" or ".join(map(str, arguments.exp))):
        if arguments.results:
            write_results(arguments.results, experiments)
        write_comparison(arguments.output, experiments)
    print(arguments.output)


if __name__ == "__main__":
    run_main(main)
