"""The generated part of a Markdown page, between two marks; what a person wrote around it stays."""

from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write


def marks(name: str) -> tuple[str, str]:
    """The lines that open and close a generated part."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _split(page: Path, name: str) -> tuple[str, str, str] | None:
    """What stands before, between and after the marks; None where there is no page.

    Raises:
        UserError: the page exists without the marks.
    """
    if not page.exists():
        return None
    begin, end = marks(name)
    before, begun, rest = page.read_text(encoding="utf-8").partition(f"{begin}\n")
    between, ended, after = rest.partition(f"{end}\n")
    if not begun or not ended:
        raise UserError(f"{page}: put the lines '{begin}' and '{end}' where the table belongs")
    return before, between, after


def text_between_marks(page: Path, name: str) -> str:
    """The generated part; empty where there is no page yet.

    Raises:
        UserError: the page exists without the marks.
    """
    parts = _split(page, name)
    return parts[1] if parts else ""


def put_between_marks(page: Path, text: str, *, title: str, name: str) -> None:
    """Rewrite the part of a page between its two marks, or write a new page.

    Raises:
        UserError: the page exists without the marks.
    """
    before, _, after = _split(page, name) or (f"# {title}\n\n", "", "")
    begin, end = marks(name)
    with atomic_write(page) as stream:
        stream.write(f"{before}{begin}\n{text}{end}\n{after}")
