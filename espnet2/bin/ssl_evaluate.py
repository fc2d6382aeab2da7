"""Trained models and two sets in, exp/<name>/eval/*.json and units.md out: units, ABX, probes, baselines beside."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write

if TYPE_CHECKING:
    from espnet2.evaluate.systems import System

FULL_SEEDS = (0, 1, 2)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_set", type=Path, required=True, help="dump/<set>: units and probes learn here")
    parser.add_argument("--valid_set", type=Path, required=True, help="dump/<set>: the figures come from here")
    parser.add_argument(
        "--eval", choices=["default", "full"], default="default",
        help="default: minutes; full: every part, layer and task, several seeds (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--parts", default="units abx probes examples", help="some of these (%(default)s)")
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


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers of an option.

    Raises:
        UserError: something else, or none.

    >>> numbers("--seeds", "0 1 2")
    (0, 1, 2)
    """
    try:
        values = tuple(int(word) for word in text.split())
    except ValueError:
        raise UserError(f"{option} '{text}': expected whole numbers, such as \"0 1 2\"") from None
    if not values:
        raise UserError(f'{option} is empty: expected whole numbers, such as "0 1 2"')
    return values


def part_options(words: Sequence[str]) -> dict[str, dict[str, object]]:
    """Options of single parts, by the name of the part.

    Raises:
        UserError: another form, or no such part.

    >>> part_options(["probes.tasks=[phone]", "probes.linear_ctc=true"])
    {'probes': {'tasks': ['phone'], 'linear_ctc': True}}
    """
    from espnet2.evaluate.parts import PARTS
    from espnet2.tasks.config import parse_overrides

    options: dict[str, dict[str, object]] = {}
    for keys, value in parse_overrides(words):
        if len(keys) != 2 or keys[0] not in PARTS:
            raise UserError(f"--options {'.'.join(keys)}: expected <part>.<key>=<value>; parts are {', '.join(PARTS)}")
        options.setdefault(keys[0], {})[keys[1]] = value
    return options


def models_beside(words: Sequence[str], tag: str) -> "list[System]":
    """Further models of the tables.

    Raises:
        UserError: a word is not <title>=<exp>, or no such model.
    """
    from espnet2.evaluate.systems import System
    from espnet2.models.find import find_model

    systems = []
    for word in words:
        title, equals, model = word.partition("=")
        if not (title and equals and model):
            raise UserError(f"--beside '{word}': expected <title>=exp/<name>")
        systems.append(System("model", title, find_model(model, tag)))
    return systems


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    full = arguments.eval == "full"
    seeds = (FULL_SEEDS if full else (0,)) if arguments.seeds is None else numbers("--seeds", arguments.seeds)
    layers = None if arguments.layers == "all" else numbers("--layers", arguments.layers)
    if arguments.beside and arguments.output is None:
        raise UserError("--beside: name a folder for tables of several models, --output exp/<comparison>")
    output = arguments.output or arguments.exp

    from espnet2.evaluate.part import EvaluationRequest, run_parts
    from espnet2.evaluate.parts import find_parts
    from espnet2.evaluate.systems import has_codes, systems_of
    from espnet2.evaluate.units.row import read_units
    from espnet2.evaluate.units.table import markdown_table
    from espnet2.models.find import find_model

    require_device(arguments.device)
    model = find_model(arguments.exp, arguments.checkpoint)
    request = EvaluationRequest(
        exp=output,
        train_set=arguments.train_set,
        valid_set=arguments.valid_set,
        systems=(
            *systems_of(model, has_codes=has_codes(model)),
            *models_beside(arguments.beside, arguments.checkpoint),
        ),
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
    parts = find_parts(arguments.parts.split())
    run_parts(parts, request, lambda line: print(line, file=sys.stderr, flush=True), fresh=arguments.fresh)
    units = read_units(output)
    if units is not None:
        table = markdown_table(units)
        with atomic_write(output / "eval" / "units.md") as stream:
            stream.write(table)
        print(table, end="")
    if arguments.beside:
        print(write_table(output), end="")


def write_table(output: Path) -> str:
    """All parts that lie there as one table, eval/table.md."""
    from espnet2.evaluate.part import read_part
    from espnet2.evaluate.parts import PARTS
    from espnet2.evaluate.report.together import table_of_systems

    table = table_of_systems({name: part for name in PARTS if (part := read_part(output, name)) is not None})
    with atomic_write(output / "eval" / "table.md") as stream:
        stream.write(table)
    return table


if __name__ == "__main__":
    run_main(main)
