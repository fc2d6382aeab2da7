"""A corpus of SUPERB as it is published in, Kaldi folders <data>/<task>/{train,dev,test} out."""

import argparse
from pathlib import Path

from espnet2.utils.errors import UserError, run_main


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="such as speech_commands; doc/superb.md has the list")
    parser.add_argument(
        "--options",
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="of the corpus, see doc/superb.md",
    )
    parser.add_argument("root", type=Path, help="the corpus as it unpacks")
    parser.add_argument("data", type=Path, help="gets <task>/{train,dev,test}")
    return parser


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()

    from espnet2.data_prep.superb.base import prepare_corpus
    from espnet2.utils.config import parse_yaml

    values: dict[str, object] = {}
    for word in arguments.options:
        key, equals, text = word.partition("=")
        if not (key and equals):
            raise UserError(f"--options '{word}': expected <key>=<value>")
        values[key] = parse_yaml(text)
    tasks = prepare_corpus(arguments.corpus, arguments.root, arguments.data, values)
    for task in tasks:
        print(f"{arguments.data / task}: prepared")


if __name__ == "__main__":
    run_main(main)
