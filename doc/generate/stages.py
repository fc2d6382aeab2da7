"""The templates in, the table of stages in every page that shows it, and doc/reference/options.md, out.

Usage: python doc/generate/stages.py     writes what is not up to date
"""

import re
from typing import NamedTuple

from pages import ROOT, between_marks, escaped, header, row, write

TEMPLATES = {"ssl1": "egs2/TEMPLATE/ssl1/ssl1.sh", "hubert1": "egs2/TEMPLATE/hubert1/hubert1.sh"}
SHARED = "egs2/TEMPLATE/ssl1/scripts/common/options.sh"
WITH_TABLE = ("README.md", "egs2/TEMPLATE/ssl1/README.md", "doc/tutorial.md")
OPTIONS = "doc/reference/options.md"


class Stage(NamedTuple):
    """One stage of both templates."""

    number: int
    name: str
    reads: str
    writes: str
    skipped_by: str  # the option that leaves it out


def read_stages() -> list[Stage]:
    """The stages, in order.

    Raises:
        ValueError: descriptions, the heading of --help and the calls in the templates tell different stories.
    """
    shared = (ROOT / SHARED).read_text()
    rows = re.findall(r"^# (\d+) (\w+) \| (.*) \| (.*)$", shared, re.MULTILINE)
    heading = ", ".join(f"{number} {name}" for number, name, _, _ in rows)
    if f"# --- Stages ({heading})\n" not in shared:
        raise ValueError(f"{SHARED}: the heading of --help does not list {heading}")
    skips: dict[str, str] = {}
    for script in TEMPLATES.values():
        for option, number in re.findall(r'active "\$\{(skip_\w+)\}" (\d+) ', (ROOT / script).read_text()):
            if skips.setdefault(number, option) != option:
                raise ValueError(f"{script}: stage {number} is left out by {option} here, by {skips[number]} elsewhere")
    if skips.keys() != {number for number, *_ in rows}:
        described = [number for number, *_ in rows]
        raise ValueError(f"{SHARED} describes stages {described}, the templates run {sorted(skips, key=int)}")
    return [Stage(int(number), name, reads, writes, skips[number]) for number, name, reads, writes in rows]


def stage_table() -> str:
    """The table that is the same everywhere."""
    lines = header(">stage", "reads", "writes", "skipped by")
    lines += [row(f"{s.number} {s.name}", s.reads, s.writes, f"`{s.skipped_by}`") for s in read_stages()]
    return "\n".join(lines)


def option_table(path: str) -> list[str]:
    """The option block of a script as tables, one for each heading, as --help shows it."""
    text = (ROOT / path).read_text().split("# --- end of options")[0]
    lines: list[str] = []
    for line in text.splitlines():
        title, option = re.match(r"# --- (.*)", line), re.match(r"([a-z_0-9]+)=(.*?) *# (.*)", line)
        if title:
            lines += ["", f"### {re.sub(r' [(].*[)]$', '', title[1])}", "", *header("option", "default", "meaning")]
        elif option:
            default = f"`{option[2]}`" if option[2] else ""
            lines.append(row(f"`--{option[1]}`", default, escaped(option[3])))
    return lines


def options_page() -> str:
    """Every option of both templates."""
    parts = (
        ("Both templates", SHARED, "`ssl1.sh` and `hubert1.sh` take these."),
        ("ssl1.sh", TEMPLATES["ssl1"], "One model, from any labels or none."),
        ("hubert1.sh", TEMPLATES["hubert1"], "HuBERT, iteration after iteration. Lists have one value per iteration."),
    )
    lines = ["# Options of the recipes", ""]
    lines += ["Made by `doc/generate/stages.py` of the templates; `./run.sh --help` shows the same."]
    lines += ["`run.sh` holds the values of a corpus; what is typed behind `./run.sh` wins over them."]
    for title, path, text in parts:
        lines += ["", f"## {title}", "", text, *option_table(path)]
    return "\n".join(lines) + "\n"


def all_pages() -> dict[str, str]:
    """Repository path -> text."""
    table = stage_table()
    return {name: between_marks(ROOT / name, "stages", table) for name in WITH_TABLE} | {OPTIONS: options_page()}


if __name__ == "__main__":
    write(all_pages())
