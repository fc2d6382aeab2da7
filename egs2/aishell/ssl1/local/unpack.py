"""The folder data_aishell as its archive gives it in, wav/{train,dev,test} out; a stopped call goes on."""

import argparse
from pathlib import Path

from espnet2.data_prep.download import unpack_archive
from espnet2.data_prep.scan import require_root
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.progress import Progress


def unpack_speakers(corpus: Path) -> int:
    """Unpack wav/S*.tar.gz, one archive per speaker, and delete each when its files are there.

    Returns:
        the number of archives.

    Raises:
        UserError: no archive and nothing unpacked, or a damaged archive.
    """
    archives = sorted(require_root(corpus, ("wav",), "AISHELL-1").joinpath("wav").glob("*.tar.gz"))
    if not archives and not (corpus / "wav" / "train").is_dir():
        raise UserError(f"{corpus}/wav: neither archives (S0002.tar.gz, ...) nor train/; the corpus is not complete")
    progress = Progress("archives unpacked", len(archives))
    for archive in archives:
        unpack_archive(archive, corpus / "wav")
        archive.unlink()  # only what is unpacked whole: what is left is what a next call has to do
        progress.add()
    return len(archives)


def main() -> None:
    """Unpack and say how much there was."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("corpus", type=Path, help="the folder data_aishell; it is written to")
    arguments = parser.parse_args()
    print(f"{arguments.corpus}: {unpack_speakers(arguments.corpus)} archives unpacked")


if __name__ == "__main__":
    run_main(main)
