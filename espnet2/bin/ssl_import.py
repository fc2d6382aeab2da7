"""A model of another library in, exp/<name> with its config, weights and a card of the measured difference out."""

import argparse

from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    from espnet2.formats import reader_names
    from espnet2.formats.conversion import CARD
    from espnet2.formats.foreign import import_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="a folder of save_pretrained or of ssl_export, or a checkpoint file")
    parser.add_argument("--from", required=True, choices=reader_names(), dest="origin", help="its library")
    parser.add_argument("--output", required=True, help="folder to make, such as exp/imported")
    arguments = parser.parse_args()
    card = import_model(arguments.path, arguments.origin, arguments.output)
    print(f"{arguments.output}: the largest difference is {card['largest_difference']:.2g}, see {CARD} there")
    left_out, new = card["weights_left_out"], card["weights_new_and_random"]
    for names, what in ((left_out, "left out"), (new, "not in the file, drawn anew")):
        if names:
            print(f"{what}: {', '.join(names)}")


if __name__ == "__main__":
    run_main(main)
