"""A trained model in, a folder and one archive to be sent or uploaded out; or such an archive in, its folder out."""

import argparse
import os
from pathlib import Path

from espnet2.utils.errors import UserError, run_main

DTYPES = ("fp32", "fp16")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="exp/<name>, or anything else that a model is called by")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--output", type=Path, help="the folder; its last name is the model's")
    parser.add_argument("--archive", type=Path, help="<output>.tar.gz by default; .zip is possible")
    parser.add_argument("--dtype", default="fp32", choices=DTYPES, help="of the stored weights (%(default)s)")
    parser.add_argument("--kmeans", default="", help="k-means folders of this model's layers, or folders of such")
    parser.add_argument(
        "--targets",
        type=Path,
        nargs="+",
        default=[],
        help="the k-means whose labels the model was trained on; of several label sets, all of them",
    )
    parser.add_argument("--token_list", type=Path, help="of the labels; default: that of --targets")
    parser.add_argument("--train_sets", default="", help='"dump/a dump/b": hours and languages for the card')
    parser.add_argument("--license", default="", help="such as cc-by-4.0; without one the card says: not stated")
    parser.add_argument("--formats", default="huggingface torchaudio", help="forms to pack along (%(default)s)")
    parser.add_argument("--unpack", type=Path, help="an archive: check it and write its files to --output")
    return parser


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    if arguments.output is None or (arguments.model is None) == (arguments.unpack is None):
        raise UserError("give --output, and either --model to pack or --unpack <archive>")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers draws them for files of a moment
    from espnet2.models.archive import unpack, write_archive
    from espnet2.models.find import find_model
    from espnet2.models.packed_files import CARD, check_all_files
    from espnet2.publish.packed import PackOptions, pack_experiment
    from espnet2.utils.files import require_json

    if arguments.unpack is not None:
        unpack(arguments.unpack, arguments.output, check=check_all_files)
        print(f"{arguments.output}: unpacked, every file as it was packed")
        return
    options = PackOptions(
        dtype=arguments.dtype,
        kmeans=[Path(folder) for folder in arguments.kmeans.split()],
        targets=arguments.targets,
        token_list=arguments.token_list,
        train_sets=arguments.train_sets.split(),
        licence=arguments.license,
        formats=arguments.formats.split(),
    )
    folder = pack_experiment(find_model(arguments.model, arguments.checkpoint), arguments.output, options)
    archive = write_archive(folder, arguments.archive or folder.with_name(f"{folder.name}.tar.gz"))
    for name, problem in require_json(folder / CARD, "pack the model again")["formats"].items():
        print(f"for {name}: {f'{folder}/{name}' if problem is None else f'not packed: {problem}'}")
    print(f"{archive}: {archive.stat().st_size / (1 << 20):.2f} MiB, the files of {folder}")


if __name__ == "__main__":
    run_main(main)
