"""Generated pages and parts of pages in, written files out, or the names of those that are not up to date."""

import re
import sys
from pathlib import Path

from espnet2.utils.show import table_row

ROOT = Path(__file__).resolve().parents[2]


def row(*cells: object) -> str:
    """One line of a Markdown table.

    >>> row("a", 1, "b|c")
    '| a | 1 | b\\\\|c |'
    """
    return table_row(cells)


def header(*titles: str) -> list[str]:
    """The first two lines of a table; titles that begin with ">" are of columns with numbers."""
    rules = ["--:" if title.startswith(">") else "---" for title in titles]
    return [row(*(title.lstrip(">") for title in titles)), f"|{'|'.join(rules)}|"]


def escaped(text: str) -> str:
    """A description as Markdown: angle brackets outside code would be HTML.

    >>> escaped("start from hf:<user>/<name>, a file, or `<name>`")
    'start from `hf:<user>/<name>`, a file, or `<name>`'
    """
    return re.sub(r"(?<![`\w./:])([\w./:]*<\w[^`\s]*)(?<![,;:.)])", r"`\1`", text)


def between_marks(path: Path, name: str, text: str) -> str:
    """The text of a page with `text` between its marks.

    Raises:
        ValueError: the page does not have the two marks.
    """
    begin, end = f"<!-- {name}: made by doc/generate, do not edit -->", f"<!-- end of {name} -->"
    page = path.read_text(encoding="utf-8")
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{path}: expected one '{begin}' and one '{end}'")
    return re.sub(
        f"{re.escape(begin)}.*{re.escape(end)}", lambda _: f"{begin}\n\n{text}\n\n{end}", page, flags=re.DOTALL
    )


def stale(pages: dict[str, str]) -> list[str]:
    """Of repository path -> wanted text, the paths that hold something else."""
    return [name for name, text in pages.items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text]


def write(pages: dict[str, str]) -> None:
    """Write what is not up to date, and say so."""
    for name in stale(pages):
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(pages[name], encoding="utf-8")
        print(f"{name} was written", file=sys.stderr)
