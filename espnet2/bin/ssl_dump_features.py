"""A trained model and a Kaldi data folder in, features (arks or npy) or units of its utterances out: an array job."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.device import DTYPES, FLOAT32, device_name
from espnet2.utils.errors import run_main

EPILOG = """\
The second form is ssl_sample_features, which had this name once: a sample of the frames of training sets, from which
k-means learns. Its options: %(prog)s --dump_sets SETS --help
"""


def make_sample_parser() -> argparse.ArgumentParser:
    """What tells the second form; the parser of ssl_sample_features reads all of it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dump_sets", nargs="?", const="")
    return parser


def make_parser() -> argparse.ArgumentParser:
    """The command line of the first form; usage and help tell both."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG)
    parser.add_argument("--model", required=True, help="exp/<name>, a packed model, hf:<user>/<name>, or a foreign one")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--layers", default="", help="'6', '3 6 9' or 'all', from 1; the last by default")
    parser.add_argument("--format", choices=["ark", "npy", "units"], default="ark", help="(%(default)s)")
    parser.add_argument(
        "--kmeans",
        default="",
        help="for units: folder of a k-means of this model, or 'codes'; default: what it carries",
    )
    parser.add_argument(
        "--device", type=device_name, default="cpu", help="cpu or cuda: jobs on one machine take its GPUs in turn"
    )
    parser.add_argument("--dtype", choices=DTYPES, default=FLOAT32, help="of the model's products (%(default)s)")
    parser.add_argument("--job", type=int, default=1, help="which part, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many parts; the last to finish joins the tables")
    parser.add_argument("--channel", type=int, help="of multi-channel audio, from 0; the first by default")
    parser.add_argument("--batch_seconds", type=float, default=60.0, help="padded audio at once (%(default)s)")
    parser.add_argument("--whole_seconds", type=float, default=600.0, help="longer audio is cut (%(default)s)")
    parser.add_argument("--chunk_seconds", type=float, default=30.0, help="of what is cut (%(default)s)")
    parser.add_argument(
        "--context_seconds", type=float, default=15.0, help="seen on both sides of a chunk (%(default)s)"
    )
    parser.add_argument("data_dir", type=Path, help="data/<set> (pipes and segments too) or dump/<set>")
    parser.add_argument("output_dir", type=Path, help="gets feats.scp, or units.txt; several layers: layer_<l>/")
    first = parser.format_usage().removeprefix("usage: ").rstrip()
    parser.usage = f"{first}\n       %(prog)s --dump_sets SETS --output_dir OUTPUT_DIR [...]"
    return parser


def main() -> None:
    """Entry point."""
    options, _ = make_sample_parser().parse_known_args()
    if options.dump_sets is not None:
        from espnet2.bin.ssl_sample_features import main as sample

        sample()
        return
    arguments = make_parser().parse_args()
    from espnet2.units.dump import DumpRequest, dump, model_to_dump
    from espnet2.units.precision import check_dtype

    kind, kmeans = arguments.format, arguments.kmeans
    check_dtype(arguments.dtype, arguments.device)
    model = model_to_dump(arguments.model, arguments.checkpoint, kind=kind, kmeans=kmeans)
    dump(
        DumpRequest(
            model=model,
            data_dir=arguments.data_dir,
            output_dir=arguments.output_dir,
            kind=kind,
            layers=arguments.layers,
            kmeans=kmeans,
            device=arguments.device,
            dtype=arguments.dtype,
            channel=arguments.channel,
            job=arguments.job,
            num_jobs=arguments.num_jobs,
            batch_seconds=arguments.batch_seconds,
            whole_seconds=arguments.whole_seconds,
            chunk_seconds=arguments.chunk_seconds,
            context_seconds=arguments.context_seconds,
        ),
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )


if __name__ == "__main__":
    run_main(main)
