"""Packed labels of one set, one folder for each codebook, in; one folder with several codebooks a frame out."""

import argparse
import sys
from pathlib import Path

from espnet2.data.labels.packed import PackedLabels
from espnet2.data.labels.vector import join_codebooks
from espnet2.data.labels.whole import require_whole
from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", nargs="+", help="packed labels of one set: the codebooks, in their order")
    parser.add_argument("--output", type=Path, required=True, help="folder for the joined labels")
    arguments = parser.parse_args()
    sets = [PackedLabels.open(folder) for folder in arguments.labels]
    for labels in sets:
        require_whole(labels)
    joined = join_codebooks(sets, arguments.output)
    print(
        f"{arguments.output}: {len(joined):,} utterances, {joined.num_codebooks} codebooks of {joined.num_classes:,} "
        f"classes, {joined.label_rate:g} labels per second",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_main(main)
