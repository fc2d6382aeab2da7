"""dump/org/<set> in, dump/<set> without the utterances that are too short or too long out (stage 4)."""

import argparse
import sys
from pathlib import Path

from espnet2.data.format.filter import DurationLimits, describe, filter_by_duration
from espnet2.utils.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--min_wav_duration", type=float, default=0.1, help="seconds; shorter utterances are left out")
    parser.add_argument("--max_wav_duration", type=float, default=20, help="seconds; longer utterances are left out")
    parser.add_argument("source", type=Path, help="dump/org/<set>")
    parser.add_argument("target", type=Path, help="dump/<set>")
    args = parser.parse_args()
    limits = DurationLimits(args.min_wav_duration, args.max_wav_duration)
    print(describe(args.target, filter_by_duration(args.source, args.target, limits), limits), file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
