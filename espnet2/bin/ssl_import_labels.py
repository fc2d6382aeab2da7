"""A label text, a token list and a set of dump/ in, checked and packed labels out."""

import argparse
import logging
import sys
from pathlib import Path

from espnet2.data.index import AudioIndex
from espnet2.data.labels.check import LABEL_RATES, MAX_MISSING_RATIO, TOLERANCE_LABELS
from espnet2.data.labels.text import import_labels
from espnet2.utils.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Check frame labels ('<utt> 3 3 17 ...') against the audio of a set and pack them for training.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dump_set", required=True, help="set with an index, such as dump/train")
    parser.add_argument("--text", help="label text; without it, <dump_set>/text")
    parser.add_argument("--token_list", required=True, help="one symbol a line; <blank> <unk> <sos/eos> do not count")
    parser.add_argument("--output", required=True, help="folder for the packed labels")
    parser.add_argument(
        "--label_rate",
        choices=["auto", *(str(rate) for rate in LABEL_RATES)],
        default="auto",
        help="labels per second; auto finds it from the number of labels and the lengths",
    )
    parser.add_argument(
        "--tolerance_labels",
        type=int,
        default=TOLERANCE_LABELS,
        help="by how many the labels of an utterance may differ from its frames",
    )
    parser.add_argument(
        "--max_missing_ratio", type=float, default=MAX_MISSING_RATIO, help="share of utterances that may lack labels"
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    args = get_parser().parse_args(arguments)
    text = args.text or Path(args.dump_set) / "text"
    report = import_labels(
        text,
        args.token_list,
        AudioIndex.open(args.dump_set),
        args.output,
        label_rate=None if args.label_rate == "auto" else int(args.label_rate),
        tolerance_labels=args.tolerance_labels,
        max_missing_ratio=args.max_missing_ratio,
    )
    labels = report.labels
    if report.statistics is None:
        (Path(args.output) / "labels.json").touch()  # as new as the text, which may have been copied once more
        logging.info("%s: up to date (%d utterances, made from %s)", args.output, len(labels), text)
        return
    origin = "found from the counts" if args.label_rate == "auto" else "as asked"
    logging.info("%s: %g labels per second (%s)", text, labels.label_rate, origin)
    logging.info("%s: %s", args.output, report.statistics.describe(labels.label_rate))
    if report.num_missing:
        logging.info("%s: %d utterances have no labels; training on labels skips them", text, report.num_missing)
    if report.num_foreign_lines:
        logging.info("%s: passed over %d lines of utterances outside %s", text, report.num_foreign_lines, args.dump_set)


if __name__ == "__main__":
    run_main(main)
