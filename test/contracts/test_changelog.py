"""The options and keys that no release had: each has a line in CHANGELOG.md."""

import re
from pathlib import Path

from repository import ROOT

RELEASED = Path(__file__).parent / "released"  # <version>.txt: the options and keys of that version
NAME = re.compile(r"^\| `(-{0,2}[a-z0-9_]+)` \|", re.MULTILINE)


def documented_names(folder: Path) -> set[str]:
    """Every option and key in the tables of doc/reference, which are made of the code."""
    return {name for page in folder.glob("*.md") for name in NAME.findall(page.read_text(encoding="utf-8"))}


def unmentioned(names: set[str], released: set[str], changes: str) -> list[str]:
    """The new names that no code span of the changes holds."""
    said = set(re.findall(r"-{0,2}\w+", " ".join(re.findall(r"`([^`]+)`", changes))))
    return sorted(name for name in names - released if name not in said)


def test_every_new_option_and_key_has_a_line() -> None:
    released = {name for page in RELEASED.glob("*.txt") for name in page.read_text().split()}
    names = documented_names(ROOT / "doc/reference")
    assert len(names) > 200, "the tables of doc/reference have another form: this test reads nothing"
    missing = unmentioned(names, released, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert not missing, f"CHANGELOG.md, Unreleased: no line names {', '.join(missing)}"


def test_a_name_counts_only_as_code_and_whole() -> None:
    changes = "`--keep_all true` and lr, `--nj_more`, `conf.max_seconds`"
    names = {"--keep_all", "lr", "--nj", "max_seconds", "--stage"}
    assert unmentioned(names, {"--stage"}, changes) == ["--nj", "lr"]


def test_nothing_that_was_released_is_gone() -> None:
    gone = {name for page in RELEASED.glob("*.txt") for name in page.read_text().split()}
    gone -= documented_names(ROOT / "doc/reference")
    assert not gone, f"users have these in their scripts: {', '.join(sorted(gone))}"
