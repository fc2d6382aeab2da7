"""The address of AISHELL-1 in, the folder <folder>/data_aishell out, verified and unpacked; a stopped call goes on."""

import argparse
from pathlib import Path

from unpack import unpack_speakers

from espnet2.data_prep.download import fetch
from espnet2.utils.errors import run_main

URL = "https://www.openslr.org/resources/33"
ARCHIVE = "data_aishell.tgz"  # 15,582,913,665 bytes
MD5 = "2f494334227864a8a8fec932999db9d8"  # as used by PaddleSpeech and others; openslr.org publishes none


def main() -> None:
    """Fetch, verify, unpack."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="folder for the archive and data_aishell/")
    parser.add_argument("--url", default=URL, help="another mirror of openslr.org/resources/33")
    parser.add_argument("--md5", default=MD5, help="of the archive; empty: not verified")
    arguments = parser.parse_args()
    fetch(f"{arguments.url}/{ARCHIVE}", arguments.folder, md5=arguments.md5)
    unpack_speakers(arguments.folder / "data_aishell")


if __name__ == "__main__":
    run_main(main)
