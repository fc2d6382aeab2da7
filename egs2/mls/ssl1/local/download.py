"""Names of languages in, <folder>/mls_<language> out: archives of OpenSLR 94. Their checksums are not known here."""

import argparse
from pathlib import Path

from prepare import LANGUAGES, check_languages

from espnet2.data_prep.download import fetch
from espnet2.utils.errors import run_main

ADDRESS = "https://dl.fbaipublicfiles.com/mls"


def main() -> None:
    """Fetch what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--to", type=Path, required=True, help="folder, such as downloads")
    parser.add_argument("--opus", choices=("true", "false"), default="false")
    parser.add_argument("languages", nargs="+", help=" ".join(LANGUAGES))
    arguments = parser.parse_args()
    check_languages(arguments.languages)
    for language in arguments.languages:
        name = f"mls_{language}{'_opus' if arguments.opus == 'true' else ''}"
        fetch(f"{ADDRESS}/{name}.tar.gz", arguments.to, keep=False)


if __name__ == "__main__":
    run_main(main)
