"""Shards (tar, Parquet, Shar) or manifests of lhotse in, data/train and data/dev whose audio stays there out (stage 1).

local/data.sh of egs2/shards and egs2/lhotse call it, as does:
  ssl_import_shards --train "/data/train-{000..099}.tar" --text txt --output_dir data
"""

import argparse
import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the parallel unit is the shard

from espnet2.data_prep.tables import replace_folder
from espnet2.importers.item import Fields, Item
from espnet2.importers.sets import Journal, held_out_limit, held_out_number, items, survey, write_set
from espnet2.importers.shard_list import list_shards
from espnet2.utils.errors import UserError, run_main


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="shards: paths, addresses, * and {000..099}, hf:<dataset>")
    parser.add_argument("--dev", default="", help="shards to validate on; default: --valid_share of those of --train")
    parser.add_argument("--valid_share", type=float, default=0.01, help="share of the speakers, or else utterances")
    parser.add_argument("--split", default="train", help="of hf:<dataset> in --train")
    parser.add_argument("--dev_split", default="validation", help="of hf:<dataset> in --dev")
    parser.add_argument("--audio", default="audio", help="Parquet: column of the audio")
    parser.add_argument("--key", default="", help="Parquet: column of the utterance's name; default: the audio's path")
    parser.add_argument("--text", default="", help="column, extension (txt) or key of the JSON that holds transcripts")
    parser.add_argument("--speaker", default="", help="the same for speakers")
    parser.add_argument("--language", default="", help="the same for languages")
    parser.add_argument("--alignment", default="", help="lhotse: the alignment of supervisions that holds phones")
    parser.add_argument("--nj", type=int, default=4, help="shards read at once, on this machine")
    parser.add_argument("--work_dir", type=Path, default=Path("data/shards"), help="what was read so far")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/ and dev/")
    return parser


def main() -> None:
    """Read the shards, then write the tables."""
    arguments = get_parser().parse_args()
    if not 0 < arguments.valid_share < 1:
        raise UserError(f"--valid_share {arguments.valid_share}: expected a share between 0 and 1")
    if arguments.nj < 1:
        raise UserError(f"--nj {arguments.nj}: expected at least one job")
    fields = Fields(
        arguments.audio, arguments.key, arguments.text, arguments.speaker, arguments.language, arguments.alignment
    )
    train = list_shards(arguments.train, arguments.split)
    dev = list_shards(arguments.dev, arguments.dev_split) if arguments.dev else []
    twice = {shard.path for shard in train} & {shard.path for shard in dev}
    if twice:
        raise UserError(f"{min(twice)}: this shard is in --train and in --dev")
    journals = survey([*train, *dev], fields, arguments.work_dir, arguments.nj)
    beside = arguments.output_dir / ".importing"  # a set without the other would pass for what the shards hold
    try:
        if dev:
            write_set(beside / "train", journals[: len(train)], _all)
            write_set(beside / "dev", journals[len(train) :], _all)
        else:
            _divide(beside / "train", beside / "dev", journals, arguments.valid_share)
        for name in ("train", "dev"):
            replace_folder(beside / name, arguments.output_dir / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _divide(train: Path, dev: Path, journals: list[Journal], valid_share: float) -> None:
    """Hold some out: first, because two utterances of one name are on the same side."""
    if next(items(journals), None) is None:
        raise UserError(f"{journals[0].shard.path}: no utterance in this shard, nor in any other that is named")
    limit = held_out_limit(journals, valid_share)
    write_set(dev, journals, lambda item: held_out_number(item) < limit)
    try:
        write_set(train, journals, lambda item: held_out_number(item) >= limit)
    except UserError as error:
        if "no utterances" not in str(error):
            raise
        raise UserError(f"{error}: all are in the other set; change --valid_share, or name shards with --dev") from None


def _all(_: Item) -> bool:
    return True


if __name__ == "__main__":
    run_main(main)
