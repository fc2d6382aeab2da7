"""Official .item files and a model (or its features) in, ABX error rates as papers report them out."""

import argparse
import sys
from pathlib import Path

from espnet2.evaluate.options import chosen_layers
from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import UserError, run_main

DESCRIPTION = """\
ABX on official items: Libri-light's <set>.item, ZeroSpeech 2021's {triphone,phoneme}-<set>.item, or any of this form.
Angular distance, the clock of ZeroSpeech, at most 10 items of a group and 5 speakers of X, as published.
    ssl_abx --items triphone-dev-clean.item --audio LibriSpeech/dev-clean --model hf:facebook/hubert-base-ls960
    ssl_abx --items triphone-dev-clean.item --features <folder of .pt, .npy or .txt> --frame_rate 50
"""


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("ssl_abx", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("--items", type=Path, nargs="+", required=True, help=".item files")
    parser.add_argument("--model", help="exp/<name>, a packed model, hf:<user>/<name>, a foreign one, or mfcc")
    parser.add_argument("--audio", type=Path, help="folder below which the audio of the items lies, with --model")
    parser.add_argument("--layers", default="all", help='"6 11" or all (%(default)s)')
    parser.add_argument("--features", type=Path, help="folder of arrays (frames, values), in the place of a model")
    parser.add_argument("--frame_rate", type=float, default=50.0, help="of --features, per second (%(default)s)")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--conditions", nargs="*", default=[], help="of ZeroSpeech 2021 (default: those of the items)")
    parser.add_argument("--clock", choices=["zerospeech", "window"], default="zerospeech", help="(%(default)s)")
    parser.add_argument("--max_group", type=int, default=10, help="items of a group; 0: all (%(default)s)")
    parser.add_argument("--max_x", type=int, default=5, help="speakers of X for each A; 0: all (%(default)s)")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, help="write <output>.json and <output>.md, too")
    return parser


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    if (arguments.features is None) == (arguments.model is None) or (arguments.model and arguments.audio is None):
        raise UserError("ssl_abx: give --model with --audio, or --features: where do the frames come from?")
    layers = chosen_layers(arguments.layers)

    from espnet2.evaluate.abx.alone import features_of_folder, features_of_model, markdown, score_all
    from espnet2.evaluate.abx.choice import AbxOptions
    from espnet2.evaluate.abx.item_file import ItemFile
    from espnet2.evaluate.systems import BARE, System
    from espnet2.models.find import find_model
    from espnet2.utils.config import parse_config
    from espnet2.utils.files import atomic_write, write_json

    device = require_device(arguments.device)
    values = {
        "items": tuple(map(str, arguments.items)),
        "conditions": tuple(arguments.conditions),
        "clock": arguments.clock,
        "max_group": arguments.max_group,
        "max_x": arguments.max_x,
        "max_triples": 0,
    }
    options = parse_config(AbxOptions, values, "ssl_abx")
    files = [ItemFile.read(path) for path in arguments.items]
    if arguments.features:
        all_layers = iter([features_of_folder(arguments.features, files, arguments.frame_rate)])
    else:
        is_bare = arguments.model in BARE
        model = None if is_bare else find_model(arguments.model, arguments.checkpoint)
        system = System(arguments.model if is_bare else "model", Path(arguments.model).name, model)
        all_layers = features_of_model(system, arguments.audio, files, layers, device, say)
    where = str(arguments.features or arguments.audio)
    result = score_all(all_layers, files, options, device, where, say)
    table = markdown(result)
    if arguments.output:
        write_json(arguments.output.with_name(f"{arguments.output.name}.json"), result)
        with atomic_write(arguments.output.with_name(f"{arguments.output.name}.md")) as stream:
            stream.write(table)
    print(table, end="")


def say(line: str) -> None:
    """Progress goes beside the table."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_main(main)
