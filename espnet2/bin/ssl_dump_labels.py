"""A k-means, or a model with codebooks, and any Kaldi data folder in, discrete tokens of its utterances out."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.device import device_name
from espnet2.utils.errors import run_main


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="", help="exp/<name>, a packed model or hf:<user>/<name> (default: that of --kmeans)"
    )
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument(
        "--kmeans", default="", help="exp/kmeans/<name>, or 'codes'; default: the units that the model carries"
    )
    parser.add_argument("--num_clusters", type=int, help="refuse units of another number")
    parser.add_argument("--deduplicate", action="store_true", help="one token for each run of equal units")
    parser.add_argument("--nbpe", type=int, help="learn a BPE of so many pieces over the units of this set: bpe.model")
    parser.add_argument("--bpe_model", type=Path, help="or take this one, learned on another set of the same units")
    parser.add_argument("--format", choices=["text", "ark"], default="text", help="text, or labels.scp (%(default)s)")
    parser.add_argument(
        "--device", type=device_name, default="cpu", help="cpu or cuda: jobs on one machine take its GPUs in turn"
    )
    parser.add_argument("--job", type=int, default=1, help="which part, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many parts; the last to finish makes the tokens")
    parser.add_argument("--channel", type=int, help="of multi-channel audio, from 0; the first by default")
    parser.add_argument("data_dir", type=Path, help="data/<set> (pipes and segments too) or dump/<set>")
    parser.add_argument(
        "output_dir",
        type=Path,
        help="gets units.txt, text or labels.scp, tokens.txt, durations.txt; codes_<n>/ of several codebooks",
    )
    return parser


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    from espnet2.units.dump import DumpRequest, dump, model_to_dump
    from espnet2.units.tokens import TokenOptions, write_tokens

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    options = TokenOptions(arguments.deduplicate, arguments.nbpe, arguments.bpe_model, arguments.format)
    model = model_to_dump(arguments.model, arguments.checkpoint, kind="units", kmeans=arguments.kmeans)
    tables = dump(
        DumpRequest(
            model=model,
            data_dir=arguments.data_dir,
            output_dir=arguments.output_dir,
            kind="units",
            kmeans=arguments.kmeans,
            device=arguments.device,
            channel=arguments.channel,
            job=arguments.job,
            num_jobs=arguments.num_jobs,
            num_clusters=arguments.num_clusters,
        ),
        report=report,
    )
    for table in tables:
        report(f"tokens: {write_tokens(table, options)}")


if __name__ == "__main__":
    run_main(main)
