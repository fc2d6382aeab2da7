"""The report page of an experiment -> the picture of the README: what a person sees first.

Usage: python doc/generate/report_picture.py exp/<name>/report.html doc/figures/report.png

It needs the Chromium of `make test-browser`. The picture in the README is of the run `online`, seed 0,
of egs2/mboshi/hubert1/local/runs.sh, evaluated on the unseen speaker.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "test/helpers")]  # the browser of the tests

from browser import chromium  # noqa: E402

WIDTH, HEIGHT = 1120, 925  # CSS pixels


def main(page: Path, picture: Path) -> None:
    """Open the page as it is first shown, and keep what fits into the window."""
    with chromium() as browser:
        seen = browser.open(page, width=WIDTH, height=HEIGHT)
        assert not seen.errors, seen.errors
        browser.run("document.querySelectorAll('details').forEach((element) => { element.open = false; })")
        browser.screenshot(picture, whole_page=False)
    print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} <report.html> <picture.png>")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
