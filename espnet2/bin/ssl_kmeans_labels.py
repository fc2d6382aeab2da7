"""A k-means and a formatted set in, its units out: shards of an array job, then the merged text and packed labels."""

import argparse
import sys
from pathlib import Path

from espnet2.data.index import AudioIndex
from espnet2.units.card import check_card, require_card
from espnet2.units.labelling import LabelFiles, check_teacher_and_rate, label_part, labels_done, merge_labels
from espnet2.units.source import parse_layer
from espnet2.utils.device import DTYPES, FLOAT32, device_name
from espnet2.utils.errors import run_main

NOT_THERE = 3  # exit status of --check
DTYPE_HELP = "of the model's products; how many units that changes is told (%(default)s). Give it in every call"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=int, default=1, help="which shard, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many shards")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda: where features are computed")
    parser.add_argument("--dtype", choices=DTYPES, default=FLOAT32, help=DTYPE_HELP)
    parser.add_argument("--num_clusters", type=int, help="refuse a k-means of another size")
    parser.add_argument("--layer", type=parse_layer, help="refuse a k-means of another layer, or of other joined ones")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"only look: exit 0 if the labels are there, {NOT_THERE} if not; refuse a changed teacher",
    )
    parser.add_argument("--merge", action="store_true", help="join the shards, check the labels, print statistics")
    parser.add_argument("kmeans_dir", type=Path, help="exp/kmeans/<name>")
    parser.add_argument("dump_set", type=Path, help="dump/<set> after stage 6")
    arguments = parser.parse_args()
    card = require_card(arguments.kmeans_dir)
    options = {"num_clusters": arguments.num_clusters, "layer": arguments.layer}
    check_card(arguments.kmeans_dir, card, {key: value for key, value in options.items() if value is not None})

    text = LabelFiles(arguments.kmeans_dir, arguments.dump_set).text
    if labels_done(arguments.kmeans_dir, arguments.dump_set, card, dtype=arguments.dtype):
        print(f"{text}: finished before, kept", file=sys.stderr)
        return 0
    if arguments.check:
        index = AudioIndex.open(arguments.dump_set)
        check_teacher_and_rate(arguments.kmeans_dir, card, index)
        seconds = index.total_samples / index.sample_rate
        num_labels = round(seconds * card.label_rate)
        print(f"{text}: {seconds / 3600:.2f} hours, {num_labels:,} labels to make", file=sys.stderr)
        return NOT_THERE
    if arguments.merge:
        _, statistics = merge_labels(
            arguments.kmeans_dir, arguments.dump_set, num_jobs=arguments.num_jobs, dtype=arguments.dtype
        )
        print(f"{text}: {statistics.describe(card.label_rate)}", file=sys.stderr)
        return 0
    count = label_part(
        arguments.kmeans_dir,
        arguments.dump_set,
        job=arguments.job,
        num_jobs=arguments.num_jobs,
        device=arguments.device,
        dtype=arguments.dtype,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(f"{text}: shard {arguments.job} of {arguments.num_jobs}: {count:,} utterances", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_main(main)
