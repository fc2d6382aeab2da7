"""A subset and languages in, raw_audios/<language>/<year> and the list of segments out; no checksums are published."""

import argparse
from pathlib import Path

from espnet2.data_prep.download import fetch
from espnet2.utils.errors import UserError, run_main

ADDRESS = "https://dl.fbaipublicfiles.com/voxpopuli"
LANGUAGES = "en de fr es pl it ro hu cs nl fi hr sk sl et lt pt bg el lv mt sv da".split()
YEARS = [str(year) for year in range(2009, 2021)]
# Archives of each subset: those with "_2" hold what is not a plenary session.
SUBSET_YEARS = {"10k": ["2019", "2020"], "100k": YEARS, "400k": YEARS + [f"{year}_2" for year in YEARS]}


def main() -> None:
    """Fetch what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--to", type=Path, required=True, help="folder, such as downloads")
    parser.add_argument("--subset", choices=SUBSET_YEARS, required=True)
    parser.add_argument("--languages", default="", help="empty: all 23")
    arguments = parser.parse_args()
    languages = arguments.languages.split() or LANGUAGES
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown:
        raise UserError(f"--languages: VoxPopuli has no '{' '.join(unknown)}'; it has {','.join(LANGUAGES)}")
    fetch(f"{ADDRESS}/annotations/unlabelled_v2.tsv.gz", arguments.to / "unlabelled_data", unpack=False)
    for language in languages:
        for year in SUBSET_YEARS[arguments.subset]:
            fetch(f"{ADDRESS}/audios/{language}_{year}.tar", arguments.to / "raw_audios", keep=False)


if __name__ == "__main__":
    run_main(main)
