"""utils/recipe_check/tools.tsv in, the tables of Kaldi's and ESPnet's tools in doc/coming_from.md out.

Usage: python doc/generate/tools.py     writes what is not up to date
"""

import sys

from pages import ROOT, between_marks, escaped, header, row, write

PAGE = "doc/coming_from.md"
sys.path.insert(0, str(ROOT / "utils/recipe_check"))
try:
    import toolkit
finally:
    sys.path.pop(0)


def table(tools: list[toolkit.Tool]) -> list[str]:
    """A row for each tool, or for each pattern of those that are not here."""
    lines = header("tool", "here", "what differs, or why not")
    for tool in tools:
        state = "no" if not tool.is_here else "with differences" if tool.note else "yes"
        name = tool.pattern.removeprefix("program ")
        lines.append(row(f"`{name}`", state, escaped(tool.note)))
    return lines


def tools_text() -> str:
    """All tables, each below its title."""
    rows = toolkit.read_rows()
    lines: list[str] = []
    for title in dict.fromkeys(tool.title for tool in rows):
        lines += ["", f"### {title}", "", *table([tool for tool in rows if tool.title == title])]
    return "\n".join(lines).strip()


def all_pages() -> dict[str, str]:
    """Repository path -> text."""
    return {PAGE: between_marks(ROOT / PAGE, "tools", tools_text())}


if __name__ == "__main__":
    write(all_pages())
