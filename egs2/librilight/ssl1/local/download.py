"""Names of Libri-Light's subsets in, <folder>/<subset> out. Its publisher gives no checksums."""

import argparse
from pathlib import Path

from espnet2.data_prep.download import fetch
from espnet2.utils.errors import UserError, run_main

ADDRESS = "https://dl.fbaipublicfiles.com/librilight/data"
SUBSETS = ("small", "medium", "large", "duplicate")


def main() -> None:
    """Fetch what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--to", type=Path, required=True, help="folder, such as downloads")
    parser.add_argument("subsets", nargs="+", help=" ".join(SUBSETS))
    arguments = parser.parse_args()
    for subset in arguments.subsets:
        if subset not in SUBSETS:
            raise UserError(f"Libri-Light has no subset '{subset}'; it has {', '.join(SUBSETS)}")
        fetch(f"{ADDRESS}/{subset}.tar", arguments.to, keep=False)


if __name__ == "__main__":
    run_main(main)
