"""Titled sections in, one HTML file without anything outside it out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from espnet2.utils.files import atomic_write

WORDS_CHARACTERS = 16  # columns with longer cells get room for several words in a line
TEMPLATES = Path(__file__).parent / "templates"
NOT_EVALUATED = "Nothing here yet: run stage 8 of the recipe, or python -m espnet2.bin.ssl_evaluate."


@dataclass(frozen=True)
class Section:
    """A part of the page; without a body it says what is missing and why."""

    key: str  # its address within the page
    title: str
    body: Markup
    missing: str = ""
    lead: str = ""
    short: str = ""  # for the table of contents


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: object) -> Markup:
    """A template of templates/ with values, which are escaped unless they are Markup."""
    return Markup(_environment().get_template(template).render(**values))


def table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, numeric: Collection[int] = (), caption: str = ""
) -> Markup:
    """A table that scrolls inside its box; empty where there are no rows.

    Args:
        numeric: numbers of the columns that hold figures, from 0.
    """
    if not rows:
        return Markup("")
    lengths = [max(len(str(row[column])) for row in rows) for column in range(len(head))]
    styles = [
        "number" if column in numeric else "words" if length > WORDS_CHARACTERS else ""
        for column, length in enumerate(lengths)
    ]
    return render("table.html.j2", head=head, rows=rows, styles=styles, caption=caption)


def charts(drawn: Markup) -> Markup:
    """Charts beside each other where there is room; empty where there are none."""
    return Markup('<div class="charts">{}</div>').format(drawn) if drawn else Markup("")


def remark(text: str) -> Markup:
    """A sentence about what is missing or left out."""
    return Markup('<p class="missing">{}</p>').format(text)


def folded(title: str, body: Markup, *, css: str = "", is_open: bool = False) -> Markup:
    """Something that is shown on request; empty where there is nothing to show."""
    if not body:
        return Markup("")
    return Markup('<details class="{}"{}><summary>{}</summary>{}</details>').format(
        css, Markup(" open") if is_open else "", title, body
    )


def write_page(
    path: Path, *, kicker: str, heading: str, facts: Sequence[str], sections: Sequence[Section], footer: str
) -> None:
    """Write the file, whole or not at all."""
    text = render(
        "base.html.j2",
        title=heading,
        kicker=kicker,
        heading=heading,
        facts=facts,
        sections=sections,
        footer=footer,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "script.js").read_text(encoding="utf-8")),
    )
    with atomic_write(path) as stream:
        stream.write(text)
