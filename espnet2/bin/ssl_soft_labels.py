"""A k-means and a formatted set in, soft labels out: the nearest clusters of each frame, with weights."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.device import device_name
from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--temperature",
        type=float,
        required=True,
        help="weights are softmax(-squared distance / temperature); 2 * inertia / dim of card.json fits Gaussians",
    )
    parser.add_argument("--top_k", type=int, default=8, help="nearest clusters to keep; K keeps all (%(default)s)")
    parser.add_argument("--job", type=int, default=1, help="which shard, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many shards")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda: where it computes")
    parser.add_argument("--merge", action="store_true", help="join the shards (of one, at once), check the labels")
    parser.add_argument("kmeans_dir", type=Path, help="exp/kmeans/<name>")
    parser.add_argument("dump_set", type=Path, help="dump/<set> after stage 6")
    parser.add_argument("output", type=Path, help="folder for the packed labels, such as <name>/<set>")
    arguments = parser.parse_args()
    from espnet2.units.card import require_card
    from espnet2.units.soft_labels import SoftLabelRequest, merge_soft_labels, soft_label_part, soft_labels_done

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    request = SoftLabelRequest(
        arguments.kmeans_dir, arguments.dump_set, arguments.output, arguments.temperature, arguments.top_k
    )
    request.check(require_card(arguments.kmeans_dir))
    if soft_labels_done(request):
        say(f"{arguments.output}: finished before, kept")
        return
    if not arguments.merge:
        count = soft_label_part(
            request, job=arguments.job, num_jobs=arguments.num_jobs, device=arguments.device, report=say
        )
        say(f"{arguments.output}: shard {arguments.job} of {arguments.num_jobs}: {count:,} utterances")
    if arguments.merge or arguments.num_jobs == 1:
        packed, statistics = merge_soft_labels(request, num_jobs=arguments.num_jobs)
        say(f"{arguments.output}: nearest clusters: {statistics.describe(packed.label_rate)}")


if __name__ == "__main__":
    run_main(main)
