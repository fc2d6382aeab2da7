"""Links of the repository in, the broken ones out: symbolic links, and relative links and anchors in Markdown."""

import re
from pathlib import Path
from urllib.parse import unquote

from repository import ROOT, regular_files, relative, repository_files, text_of

# [text](target) and ![text](target "title"); not inside code, which is removed first.
MARKDOWN_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def anchors_of(text: str) -> set[str]:
    """Return the anchors that a Markdown reader gives the headings of a text.

    >>> sorted(anchors_of("# Two commands!\\n## `make test`"))
    ['make-test', 'two-commands']
    """
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+\s+(.*?)\s*#*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_markdown_links(page: Path) -> list[str]:
    """Return the relative links of one page that lead nowhere."""
    broken = []
    for target in MARKDOWN_LINK.findall(CODE.sub("", text_of(page) or "")):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):  # http:, mailto:
            continue
        name, _, anchor = unquote(target).partition("#")
        goal = (page.parent / name) if name else page
        if not goal.exists():
            broken.append(f"{relative(page)}: {target} does not exist")
        elif anchor and goal.suffix == ".md" and anchor not in anchors_of(text_of(goal) or ""):
            broken.append(f"{relative(page)}: {target}: no such heading")
    return broken


def test_no_symbolic_link_is_broken() -> None:
    broken = [f"{relative(p)} -> {p.readlink()}" for p in repository_files() if p.is_symlink() and not p.exists()]
    assert not broken, "\n".join(broken)


def test_symbolic_links_stay_inside_the_repository() -> None:
    links = [path for path in repository_files() if path.is_symlink()]
    outside = [
        f"{relative(path)} -> {path.readlink()}"
        for path in links
        if path.readlink().is_absolute() or not path.resolve().is_relative_to(ROOT)
    ]
    assert not outside, "\n".join(outside)


def test_markdown_links_resolve() -> None:
    pages = [path for path in regular_files() if path.suffix == ".md"]
    broken = [line for page in pages for line in broken_markdown_links(page)]
    assert not broken, "\n".join(broken)


def test_a_broken_markdown_link_is_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("repository.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# Title\n[a](page.md#title) [b](gone.md) [c](#nowhere) `[d](code)` [e](https://x.y/z)\n")
    assert broken_markdown_links(page) == [
        "page.md: gone.md does not exist",
        "page.md: #nowhere: no such heading",
    ]
