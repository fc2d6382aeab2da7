"""A model and prepared tasks of SUPERB in, a JSON file per task and one table in the leaderboard's form out."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import UserError, run_main


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="<data>/<task>/{train,dev,test}, prepared (%(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("exp/superb"), help="results and table (%(default)s)")
    parser.add_argument("--tasks", default="", help='such as "ks sid"; by default all that --data has')
    parser.add_argument("--systems", default="model", help="rows: some of model, untrained, mfcc, logmel (%(default)s)")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--title", help="of the model in the table; by default the end of its name")
    parser.add_argument("--rules", type=Path, help="YAML with a section per task; what it leaves out is official")
    parser.add_argument(
        "--options", nargs="*", default=[], metavar="TASK.KEY=VALUE", help="single rules: ks.updates=500"
    )
    parser.add_argument(
        "--learning_rates", default="",
        help='to search: "1e-3 1e-4", or "official" for 1e-1 to 1e-7; by default the rate of the rules',
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, help="features of all runs (default: <output>/cache)")
    parser.add_argument("--cache_gb", type=float, default=100.0, help="budget of the cache on disk (%(default)s)")
    parser.add_argument("--cache_precision", choices=["float16", "float32"], default="float16", help="(%(default)s)")
    parser.add_argument("--steps", default="features fit test table", help="some of these, in this order (%(default)s)")
    parser.add_argument("--job", type=int, default=1, help="which part of an array job, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many parts; more than one: without test and table")
    parser.add_argument("--fs", type=int, default=16_000, help="sample rate of the encoder, Hz (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of heads and batches (%(default)s)")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda")
    parser.add_argument(
        "model", nargs="?", help="exp/<name>, a packed model, hf:<user>/<name>, or a foreign one; not for mfcc, logmel"
    )
    return parser


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    steps = tuple(arguments.steps.split())
    if not 1 <= arguments.job <= arguments.num_jobs:
        raise UserError(f"--job {arguments.job}: expected 1 to {arguments.num_jobs}, the number of jobs")
    if arguments.num_jobs > 1 and not set(steps) <= {"features", "fit"}:
        raise UserError(
            f'--num_jobs {arguments.num_jobs}: array jobs do --steps "features" or "fit"; test and table come after'
        )

    from espnet2.superb.options import chosen_rates, rule_sections
    from espnet2.superb.run import STEPS, SuperbRequest, run_superb, superb_systems

    if not steps or not set(steps) <= set(STEPS):
        raise UserError(f"--steps '{arguments.steps}': expected some of {', '.join(STEPS)}")
    if not arguments.cache_gb >= 0:
        raise UserError(f"--cache_gb {arguments.cache_gb}: expected 0 (nothing is kept) or more")
    if arguments.fs <= 0:
        raise UserError(f"--fs {arguments.fs}: expected a sample rate in Hz")
    require_device(arguments.device)
    only_table = set(steps) == {"table"}
    systems = () if only_table else superb_systems(
        arguments.model, arguments.systems.split(), arguments.checkpoint, arguments.title
    )  # fmt: skip
    request = SuperbRequest(
        data=arguments.data,
        output=arguments.output,
        systems=systems,
        tasks=tuple(arguments.tasks.split()),
        sections=rule_sections(arguments.rules, arguments.options),
        rates=chosen_rates(arguments.learning_rates),
        cache=arguments.cache or arguments.output / "cache",
        cache_bytes=arguments.cache_gb * 1e9,
        precision=arguments.cache_precision,
        sample_rate=arguments.fs,
        seed=arguments.seed,
        device=arguments.device,
        steps=steps,
        job=arguments.job,
        num_jobs=arguments.num_jobs,
    )
    print(run_superb(request, say), end="")


def say(line: str) -> None:
    """Progress goes beside the table."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_main(main)
