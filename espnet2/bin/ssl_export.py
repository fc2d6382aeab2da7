"""A trained model in, a folder that another library loads, with a card of the measured difference, out."""

import argparse
import os

from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers draws them for files of a moment
    from espnet2.formats import writer_names
    from espnet2.formats.conversion import CARD
    from espnet2.models.find import find_model
    from espnet2.models.load import load_model
    from espnet2.publish.convert import export_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="exp/<name>, or a folder of its checkpoints")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name>: latest, best_<stat> ... (%(default)s)")
    parser.add_argument("--to", required=True, choices=writer_names(), help="the library or format")
    parser.add_argument("--output", required=True, help="folder to make")
    arguments = parser.parse_args()
    loaded = load_model(find_model(arguments.model, arguments.checkpoint))
    card = export_model(loaded, arguments.to, arguments.output)
    print(f"{arguments.output}: the largest difference is {card['largest_difference']:.2g}, see {CARD} there")
    if card["weights_left_out"]:
        print(f"not in this format: {', '.join(card['weights_left_out'])}")


if __name__ == "__main__":
    run_main(main)
