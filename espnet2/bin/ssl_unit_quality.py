"""Units of a set and its phone alignments in, phone purity, cluster purity and PNMI out."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from espnet2.units.quality import label_text_quality, read_alignments
from espnet2.utils.errors import run_main
from espnet2.utils.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help='"<utt> 3 3 17 ..." lines')
    parser.add_argument("--label_rate", type=float, required=True, help="labels per second, such as 50")
    parser.add_argument("--phones", type=Path, required=True, help="phones.ctm: <utt> 1 <start s> <duration s> <phone>")
    parser.add_argument("--frame_rate", type=float, help="compare at this many frames per second (default: label_rate)")
    parser.add_argument("--num_clusters", type=int, help="K: refuse labels of more units")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    frame_rate = arguments.frame_rate or arguments.label_rate
    alignments = read_alignments(arguments.phones)
    quality = label_text_quality(
        arguments.labels,
        alignments,
        label_rate=arguments.label_rate,
        frame_rate=frame_rate,
        num_units=arguments.num_clusters,
        report=lambda line: print(line, file=sys.stderr),
    )
    print(quality.describe())
    if arguments.json:
        write_json(arguments.json, {**asdict(quality), "labels": str(arguments.labels), "frame_rate": frame_rate})


if __name__ == "__main__":
    run_main(main)
