"""Discrete tokens of ssl_dump_labels in, a language model of them, its bits per second and its scores out."""

import argparse
import json
import sys
from pathlib import Path

from espnet2.launch.signals import REQUEUE_EXIT_CODE, StopSignals
from espnet2.utils.errors import UserError, run_main

DESCRIPTION = """\
Train a small decoder on units: any key of the config can be overridden (--max_update 5000 --decoder_conf dim=512).
Run again, it goes on from the newest checkpoint. result.json has bits per second of the valid set.
    ssl_unit_lm --train_sets dump/tokens/train --valid_sets dump/tokens/dev --output_dir exp/unit_lm
Score the pairs of a benchmark with a model that is there, by the tokens of its recordings:
    ssl_unit_lm --output_dir exp/unit_lm --score sWUGGY --gold lexical/dev/gold.csv --tokens dump/tokens/lexical_dev
"""
TASKS = ("sWUGGY", "sBLIMP", "tSC")


def make_parser() -> argparse.ArgumentParser:
    """The command line, without the keys of the config."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("ssl_unit_lm", description=DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--output_dir", type=Path, required=True, help="exp/<name>")
    parser.add_argument("--train_sets", help="folders of ssl_dump_labels, several in one word")
    parser.add_argument("--valid_sets", help="the figures are of these; no weights are chosen on them")
    parser.add_argument("--config", help="YAML file of training keys")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs per node (default: %(default)s, the CPU)")
    parser.add_argument("--score", choices=TASKS, help="a benchmark, in the place of a training")
    parser.add_argument("--gold", type=Path, help="its gold.csv (of tSC: left out where names end in _correct)")
    parser.add_argument("--tokens", type=Path, help="folder of ssl_dump_labels with its recordings")
    parser.add_argument("--sum", action="store_true", help="score the whole, not the mean over its tokens")
    return parser


def main() -> int:
    """Entry point."""
    stop = StopSignals().install()  # first of all: a signal that comes while PyTorch loads is not lost
    options, overrides = make_parser().parse_known_args(sys.argv[1:])
    if options.score:
        if overrides:
            raise UserError(f"--score takes no key of a training: {' '.join(overrides)}")
        return _score(options)
    if not (options.train_sets and options.valid_sets):
        raise UserError("ssl_unit_lm: --train_sets and --valid_sets are needed, or --score for a model that is there")
    from espnet2.train.distributed import process_group
    from espnet2.train.run import locked_folder
    from espnet2.unit_lm.config import load_unit_lm_config
    from espnet2.unit_lm.data import TokenSet, joined
    from espnet2.unit_lm.session import train_unit_lm

    config = load_unit_lm_config(options.config, overrides)
    train, valid = (
        joined([TokenSet.read(name) for name in sets.split()]) for sets in (options.train_sets, options.valid_sets)
    )
    with process_group(options.ngpu) as ranks, locked_folder(options.output_dir, ranks):
        complete = train_unit_lm(config, train, valid, options.output_dir, ranks, stop)
    stop.ignore()
    return 0 if complete else REQUEUE_EXIT_CODE


def _score(options: argparse.Namespace) -> int:
    if options.tokens is None or (options.gold is None and options.score != "tSC"):
        raise UserError(f"--score {options.score}: name --tokens and --gold")
    from espnet2.unit_lm.data import TokenSet
    from espnet2.unit_lm.pairs import judge_pairs, pairs_by_name, read_gold, write_submission
    from espnet2.unit_lm.session import OpenedUnitLm
    from espnet2.utils.files import write_json

    model = OpenedUnitLm.open(options.output_dir, "cuda" if options.ngpu else "cpu")
    tokens = TokenSet.read(options.tokens)
    recordings = read_gold(options.gold, options.score) if options.gold else pairs_by_name(tokens.utt_ids)
    if not recordings:
        raise UserError(f"{options.tokens}: no names that end in _correct and _incorrect; name --gold")
    scores = model.scores(tokens, normalize=not options.sum)
    result = judge_pairs(recordings, scores, options.score, str(options.tokens))
    about = {"score": "sum" if options.sum else "mean over tokens", "tokens": str(options.tokens)}
    write_submission(options.output_dir / f"{options.score}.txt", {row.name: scores[row.name] for row in recordings})
    write_json(options.output_dir / f"{options.score}.json", {**result, **about})
    print(json.dumps({**result, **about}, indent=2))
    return 0


if __name__ == "__main__":
    run_main(main)
