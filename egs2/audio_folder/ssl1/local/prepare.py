"""A folder of audio in, the tables of data/train and data/dev out, in two steps with array jobs in between.

plan: lists the files and prints how many jobs of inspect_files.py to run; write: makes the tables.
"""

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

from inspection import InspectOptions
from plan import collect, make_plan, read_plan
from sets import SetOptions, write_sets

from espnet2.data_prep.vad import CutOptions
from espnet2.utils.errors import UserError, run_main

CUTS = ("vad", "fixed", "none")


def get_parser() -> argparse.ArgumentParser:
    """The command line; local/data.sh explains the options and has their defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    plan = steps.add_parser("plan", allow_abbrev=False)
    plan.add_argument("--root", type=Path, required=True)
    plan.add_argument("--nj", type=int, required=True)
    plan.add_argument("--cut", choices=CUTS, required=True)
    plan.add_argument("--cut_above", type=float, required=True)
    plan.add_argument("--max_seconds", type=float, required=True)
    plan.add_argument("--min_seconds", type=float, required=True)
    plan.add_argument("--max_pause", type=float, required=True)
    plan.add_argument("--vad_threshold", type=float, required=True)
    plan.add_argument("--drop_duplicates", choices=("true", "false"), required=True)
    write = steps.add_parser("write", allow_abbrev=False)
    write.add_argument("--output_dir", type=Path, required=True, help="folder for train/, dev/ and unusable.tsv")
    write.add_argument("--speaker_level", type=int, required=True)
    write.add_argument("--speakers", default="")
    write.add_argument("--language", default="")
    write.add_argument("--valid_share", type=float, required=True)
    write.add_argument("--valid_by", choices=("speaker", "file"), required=True)
    write.add_argument("--max_unreadable_share", type=float, required=True)
    for step in (plan, write):
        step.add_argument("--work_dir", type=Path, required=True)
    return parser


def plan_step(arguments: argparse.Namespace) -> None:
    """List the files; print the number of jobs."""
    parts = CutOptions(
        max_seconds=arguments.max_seconds,
        min_seconds=arguments.min_seconds,
        max_pause_seconds=arguments.max_pause,
        threshold=arguments.vad_threshold,
    )
    if not 0 < parts.min_seconds < parts.max_seconds or not 0 < parts.threshold < 1:
        raise UserError(
            f"--min_seconds {parts.min_seconds} --max_seconds {parts.max_seconds} --vad_threshold {parts.threshold}: "
            "expected 0 < min_seconds < max_seconds and a threshold between 0 and 1"
        )
    options = InspectOptions(arguments.cut, arguments.cut_above, arguments.drop_duplicates == "true", parts)
    with redirect_stdout(sys.stderr):  # the number alone goes to the caller
        plan = make_plan(arguments.root.resolve(), arguments.work_dir, options, arguments.nj)
    print(min(max(1, arguments.nj), plan.num_chunks))


def write_step(arguments: argparse.Namespace) -> None:
    """Collect what the jobs found and write both sets."""
    if not 0 < arguments.valid_share < 1:
        raise UserError(f"--valid_share {arguments.valid_share}: expected a share between 0 and 1")
    plan = read_plan(arguments.work_dir)
    options = SetOptions(
        plan.root,
        arguments.speaker_level,
        Path(arguments.speakers) if arguments.speakers else None,
        arguments.language or None,
        arguments.valid_share,
        arguments.valid_by,
        arguments.max_unreadable_share,
        plan.options.with_hash,
    )
    write_sets(collect(plan), arguments.work_dir, arguments.output_dir, options)


def main() -> None:
    """Run one of the two steps."""
    arguments = get_parser().parse_args()
    {"plan": plan_step, "write": write_step}[arguments.step](arguments)


if __name__ == "__main__":
    run_main(main)
