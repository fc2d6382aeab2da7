"""Trained models and two sets in, exp/<name>/eval/*.json and units.md out: units, ABX, probes, baselines beside."""

import argparse
import sys
from pathlib import Path

from espnet2.evaluate.options import chosen_layers, chosen_seeds
from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import UserError, run_main

PARTS = "units abx probes examples"


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_set", type=Path, required=True, help="dump/<set>: units and probes learn here")
    parser.add_argument("--valid_set", type=Path, required=True, help="dump/<set>: the figures come from here")
    parser.add_argument(
        "--eval", choices=["default", "full"], default="default",
        help="default: minutes; full: every part, layer and task, several seeds (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--parts", help=f'some of "{PARTS} unit_lm" (default: the first four; with --eval full all of them)'
    )
    parser.add_argument(
        "--beside", nargs="*", default=[], metavar="TITLE=EXP",
        help="other models in the same tables, on the same frames and beside the same baselines",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="folder that gets eval/ (default: exp; needed with --beside)")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--layers", default="all", help='"3 6" or all: of the model and of itself untrained')
    parser.add_argument("--num_clusters", type=int, default=100, help="K of every system's units (%(default)s)")
    parser.add_argument("--seeds", help='whole numbers, such as "0 1 2" (default: 0, or 0 1 2 with --eval full)')
    parser.add_argument("--frame_rate", type=float, default=50.0, help="of every system, per second (%(default)s)")
    parser.add_argument("--max_train_frames", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--max_valid_frames", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument(
        "--alignments", type=Path, help="phones: <set>.ctm, <set>.tsv, or a folder of TextGrids (default: phones.ctm)"
    )
    parser.add_argument(
        "--options", nargs="*", default=[], metavar="PART.KEY=VALUE", help="of single parts: probes.tasks=[ctc]"
    )
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda")
    parser.add_argument("--fresh", action="store_true", help="forget what the named parts have kept, and compute again")
    parser.add_argument("exp", type=Path, help="exp/<name>")
    return parser


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    seeds, layers = chosen_seeds(arguments.seeds, arguments.eval), chosen_layers(arguments.layers)
    if arguments.beside and arguments.output is None:
        raise UserError("--beside: name a folder for tables of several models, --output exp/<comparison>")

    from espnet2.evaluate.part import EvaluationRequest
    from espnet2.evaluate.run import evaluate, models_beside, part_options
    from espnet2.evaluate.systems import has_codes, systems_of
    from espnet2.models.find import find_model

    require_device(arguments.device)
    model = find_model(arguments.exp, arguments.checkpoint)
    beside = models_beside(arguments.beside, arguments.checkpoint)
    request = EvaluationRequest(
        exp=arguments.output or arguments.exp,
        train_set=arguments.train_set,
        valid_set=arguments.valid_set,
        systems=(*systems_of(model, has_codes=has_codes(model)), *beside),
        effort=arguments.eval,
        num_clusters=arguments.num_clusters,
        seeds=seeds,
        frame_rate=arguments.frame_rate,
        layers=layers,
        max_train_frames=arguments.max_train_frames,
        max_valid_frames=arguments.max_valid_frames,
        device=arguments.device,
        alignments=arguments.alignments,
        options=part_options(arguments.options),
    )
    parts = arguments.parts or (f"{PARTS} unit_lm" if arguments.eval == "full" else PARTS)
    print(evaluate(request, parts.split(), say, fresh=arguments.fresh, compare=bool(beside)), end="")


def say(line: str) -> None:
    """Progress goes beside the tables."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_main(main)
