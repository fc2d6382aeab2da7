"""doc/troubleshooting.md in, the messages on it that no code gives any more out."""

import ast
import re

import pytest
from repository import ROOT, python_files, shell_files

PAGE = (ROOT / "doc/troubleshooting.md").read_text()
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)


def string_of(node: ast.AST) -> str:
    """A string literal; values that are put into it are "..."."""
    if isinstance(node, ast.JoinedStr):
        return "".join(string_of(part) if isinstance(part, ast.Constant) else "..." for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.fixture(scope="module")
def code() -> list[str]:
    """Every string of the package's Python, and every line of shell scripts with "..." for variables."""
    folders = tuple(str(ROOT / name) for name in ("espnet2", "egs2", "utils", "tools"))
    texts = []
    for path in python_files():
        if str(path).startswith(folders):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            texts += [string_of(node) for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)]
    for path in shell_files():
        if str(path).startswith(folders):
            texts.append(re.sub(r"\$\{[^}]*\}+|\$\d", "...", path.read_text(encoding="utf-8")))
    return texts


def test_the_page_has_messages() -> None:
    assert len(MESSAGES) > 40 and len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_still_exists(code: list[str], message: str) -> None:
    parts = [re.escape(part) for part in message.split("...")]
    pattern = re.compile(".*?".join(parts))
    assert any(pattern.search(text) for text in code), f"doc/troubleshooting.md: no code says '{message}'"
