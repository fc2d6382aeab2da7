"""Any systems and two sets in, a table of what their units are worth out: same K, rate and frames in every row."""

import argparse
import sys
from pathlib import Path

from espnet2.evaluate.options import numbers
from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import run_main
from espnet2.utils.files import atomic_write, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_set", type=Path, required=True, help="dump/<set>: units and layer come from here")
    parser.add_argument("--valid_set", type=Path, required=True, help="dump/<set>: the figures come from here")
    parser.add_argument(
        "--rows", required=True, help='"mfcc untrained:exp/a model:exp/a[@<checkpoint>] <title>=model:exp/b"'
    )
    parser.add_argument("--num_clusters", type=int, default=100, help="K of every row (%(default)s)")
    parser.add_argument("--seeds", default="0 1 2", help="of k-means (%(default)s)")
    parser.add_argument("--frame_rate", type=float, default=50.0, help="of every row, per second (%(default)s)")
    parser.add_argument("--max_train_frames", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--max_valid_frames", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--alignments", type=Path, help="file or folder of phones, as for ssl_evaluate")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, help="write <output>.json and <output>.md, too")
    arguments = parser.parse_args()
    seeds = numbers("--seeds", arguments.seeds)

    from espnet2.evaluate.part import EvaluationRequest
    from espnet2.evaluate.units.part import evaluate_units
    from espnet2.evaluate.units.table import markdown_table, parse_rows

    request = EvaluationRequest(
        exp=Path(),
        train_set=arguments.train_set,
        valid_set=arguments.valid_set,
        systems=tuple(parse_rows(arguments.rows)),
        num_clusters=arguments.num_clusters,
        seeds=seeds,
        frame_rate=arguments.frame_rate,
        max_train_frames=arguments.max_train_frames,
        max_valid_frames=arguments.max_valid_frames,
        device=require_device(arguments.device),
        alignments=arguments.alignments,
    )
    result = evaluate_units(request, lambda line: print(line, file=sys.stderr, flush=True))
    table = markdown_table(result)
    if arguments.output:
        write_json(arguments.output.with_name(f"{arguments.output.name}.json"), result)
        with atomic_write(arguments.output.with_name(f"{arguments.output.name}.md")) as stream:
            stream.write(table)
    print(table, end="")


if __name__ == "__main__":
    run_main(main)
