"""Trained models and two aligned sets in, purity and PNMI of their units beside MFCC and an untrained model out."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_set", required=True, help="dump/<set> with phones.ctm: units and layer come from here")
    parser.add_argument("--valid_set", required=True, help="dump/<set> with phones.ctm: the figures come from here")
    parser.add_argument(
        "--rows", required=True, help='"mfcc untrained:exp/a model:exp/a[@<checkpoint>] <title>=model:exp/b"'
    )
    parser.add_argument("--num_clusters", type=int, default=100, help="K of every row (%(default)s)")
    parser.add_argument("--seeds", default="0 1 2", help="of k-means (%(default)s)")
    parser.add_argument("--frame_rate", type=float, default=50.0, help="of every row, per second (%(default)s)")
    parser.add_argument("--max_train_frames", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--max_valid_frames", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, help="write <output>.json and <output>.md, too")
    arguments = parser.parse_args()
    try:
        seeds = [int(seed) for seed in arguments.seeds.split()]
    except ValueError:
        raise UserError(f"--seeds '{arguments.seeds}': expected whole numbers, such as \"0 1 2\"") from None
    if not seeds:
        raise UserError('--seeds is empty: expected whole numbers, such as "0 1 2"')

    from espnet2.ssl.evaluate.units import evaluate_rows, markdown_table, parse_rows

    result = evaluate_rows(
        parse_rows(arguments.rows),
        arguments.train_set,
        arguments.valid_set,
        num_clusters=arguments.num_clusters,
        seeds=seeds,
        frame_rate=arguments.frame_rate,
        max_train_frames=arguments.max_train_frames,
        max_valid_frames=arguments.max_valid_frames,
        device=arguments.device,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    table = markdown_table(result)
    if arguments.output:
        write_json(arguments.output.with_name(f"{arguments.output.name}.json"), result)
        with atomic_write(arguments.output.with_name(f"{arguments.output.name}.md")) as stream:
            stream.write(table)
    print(table, end="")


if __name__ == "__main__":
    run_main(main)
