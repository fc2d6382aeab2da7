"""Names of LibriSpeech's parts in, <folder>/LibriSpeech/<part> out; "alignments" for the published phone times."""

import argparse
from pathlib import Path

from espnet2.data_prep.download import fetch
from espnet2.utils.errors import UserError, run_main

ADDRESS = "https://www.openslr.org/resources/12"
# SHA-256 of the archives at OpenSLR, as torchaudio.datasets.LIBRISPEECH (2.11) checks them.
SHA256 = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}
# Lugosch et al., 2019: the Montreal Forced Aligner's words and phones as TextGrids, 623 MB; MD5 as Zenodo shows it.
ALIGNMENTS = "https://zenodo.org/records/2619474/files/librispeech_alignments.zip"
ALIGNMENTS_MD5 = "2bab567d0ace651a4ba254e813629f46"


def main() -> None:
    """Fetch what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--to", type=Path, required=True, help="folder, such as downloads")
    parser.add_argument("names", nargs="+", help=f"alignments, or any of: {' '.join(SHA256)}")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name == "alignments":
            fetch(ALIGNMENTS, arguments.to / "librispeech_alignments", md5=ALIGNMENTS_MD5, keep=False)
        elif name in SHA256:
            fetch(f"{ADDRESS}/{name}.tar.gz", arguments.to, sha256=SHA256[name], keep=False)
        else:
            raise UserError(f"LibriSpeech has no part '{name}'; it has {', '.join(SHA256)}")


if __name__ == "__main__":
    run_main(main)
