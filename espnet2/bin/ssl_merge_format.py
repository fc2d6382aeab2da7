"""Results of the jobs of stage 3 in, dump/org/<set> out (called by scripts/audio/format_wav_scp.sh)."""

import argparse
from pathlib import Path

from espnet2.data.format.merge import describe, merge_format
from espnet2.data.format.options import add_format_options, format_options
from espnet2.utils.errors import UserError, run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num_jobs", type=int, required=True, help="as ssl_format_audio --prepare printed it")
    parser.add_argument("--max_rejected_ratio", type=float, default=0.01, help="more rejected audio stops the stage")
    add_format_options(parser)
    parser.add_argument("data_dir", type=Path, help="data/<set>")
    parser.add_argument("output_dir", type=Path, help="dump/org/<set>")
    args = parser.parse_args()
    if not 0 <= args.max_rejected_ratio <= 1:
        raise UserError(f"--max_rejected_ratio {args.max_rejected_ratio}: expected a share between 0 and 1")
    options = format_options(args)
    properties = merge_format(args.data_dir, args.output_dir, options, args.num_jobs, args.max_rejected_ratio)
    describe(args.output_dir, properties)


if __name__ == "__main__":
    run_main(main)
