"""dump/<set> in, its memory-mapped index (stage 6) out."""

import argparse
import sys

from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.utils.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dump_set", nargs="+", help="dump/<set> as stage 4 left it")
    for dump_set in parser.parse_args().dump_set:
        index = AudioIndex.open(build_index(dump_set))
        hours = index.total_samples / index.sample_rate / 3600
        print(f"{dump_set}: {len(index):,} utterances, {hours:.2f} hours, index {index.hash}", file=sys.stderr)
        if not index.knows_samples:
            print(
                f"{dump_set}: this index of an older version is kept, and with it all that was made for it. Its hash "
                "covers names and lengths: whether labels and models there are of these very samples it does not know "
                f"(to make sure, remove {dump_set}/index and run from stage 5 again)",
                file=sys.stderr,
            )


if __name__ == "__main__":
    run_main(main)
