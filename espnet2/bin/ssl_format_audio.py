"""data/<set> in, one job's share of dump/org/<set> out (stage 3); with --prepare, the number of jobs to run on stdout.

scripts/audio/format_wav_scp.sh calls it, as does:
  ssl_format_audio --prepare --num_jobs 4 --fs 16k --audio_format flac data/train dump/org/train
  ssl_format_audio --job 1 --num_jobs 4 data/train dump/org/train
"""

import argparse
import sys
from pathlib import Path

from espnet2.data.format.convert import Shard, format_shard
from espnet2.data.format.options import add_format_options, format_options
from espnet2.data.format.plan import prepare
from espnet2.utils.errors import UserError, run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true", help="check the input, plan the jobs, print their number")
    parser.add_argument("--job", type=int, default=1, help="which job, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="jobs wanted (--prepare), or as --prepare printed")
    add_format_options(parser)
    parser.add_argument("data_dir", type=Path, help="data/<set>")
    parser.add_argument("output_dir", type=Path, help="dump/org/<set>")
    args = parser.parse_args()
    if args.num_jobs < 1 or not 1 <= args.job <= args.num_jobs:
        raise UserError(f"--job {args.job} --num_jobs {args.num_jobs}: expected 1 <= job <= num_jobs")
    if args.prepare:
        options = format_options(args)
        print(prepare(args.data_dir, args.output_dir, options, args.num_jobs))
    elif not format_shard(args.data_dir, Shard(args.output_dir, args.job, args.num_jobs)):
        print(f"job {args.job} of {args.num_jobs} was finished before", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
