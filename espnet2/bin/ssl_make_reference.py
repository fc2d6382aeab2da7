"""Finished trainings in, the reference curves that later trainings of their config are compared with out."""

import argparse
from pathlib import Path

from espnet2.utils.errors import UserError, run_main

DESCRIPTION = """\
Several runs that differ in their seed give the spread; with one or two it is assumed, and the file says so.
A training finds the file as conf/reference/<config name>.json beside its config (key `reference`). One file holds the
curves of several corpora and lengths; those of the same config, data and length are replaced.
e.g.: ssl_make_reference exp/hubert_0 exp/hubert_1 exp/hubert_2 --output conf/reference/train_hubert_mini.json
"""


def main() -> None:
    """Entry point."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("ssl_make_reference", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("experiments", nargs="+", type=Path, metavar="exp/<name>", help="finished trainings")
    parser.add_argument("--output", type=Path, required=True, help="conf/reference/<config name>.json")
    parser.add_argument("--corpus", default="", help="name of the corpus (default: of the recipe's folder)")
    parser.add_argument("--train_sets", default="", help="of trainings without traffic_light.json: dump/<set> ...")
    parser.add_argument("--valid_sets", default="", help="likewise")
    parser.add_argument("--train_labels", default="", help="likewise, of objectives with labels")
    parser.add_argument("--valid_labels", default="", help="likewise")
    arguments = parser.parse_args()
    from espnet2.pretrain.inputs import DataPaths
    from espnet2.pretrain.reference_make import add_reference, make_reference

    names = ("train_sets", "valid_sets", "train_labels", "valid_labels")
    words = [getattr(arguments, name).split() for name in names]
    if bool(words[0]) != bool(words[1]):
        raise UserError("--train_sets and --valid_sets belong together")
    corpus = arguments.corpus or Path.cwd().parent.name
    reference = make_reference(arguments.experiments, corpus, DataPaths(*words) if words[0] else None)
    total = add_reference(arguments.output, reference)
    print(
        f"{arguments.output}: {', '.join(reference.curves)} of {len(reference.runs)} run(s) on {corpus}, "
        f"{reference.subject.updates:,} updates; spread {reference.spread_rule}; {total} reference(s) in the file"
    )


if __name__ == "__main__":
    run_main(main)
