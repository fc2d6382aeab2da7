"""House rules about files: their sizes, their first lines, and words that must not occur."""

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT, SHELL_TO_PYTHON, interpreter, python_files, regular_files, relative, shell_files, text_of

MAXIMUM_MODULE_LINES = 300
MAXIMUM_FUNCTION_LINES = 80
MAXIMUM_SCRIPT_LINES = 150

# Files above the limit: the limit each may reach, and why. An entry that is not needed any more is an error.
ALLOWED: dict[str, tuple[int, str]] = {
    "egs2/TEMPLATE/ssl1/db.sh": (300, "a line for each corpus, which messages name by its number"),
}

# Written in pieces, so that this file does not contain them. Value: why it must not occur.
_MACHINE = "a path of one machine"
_INDEX = "the address of a package registry"
_UNFINISHED = "unfinished work"
FORBIDDEN = {
    r"(?<![\w.}])/" + r"work/\w": _MACHINE,
    r"(?<![\w.}])/" + r"root/\w": _MACHINE,
    r"/" + r"home/[a-z]\w*/": _MACHINE,
    r"/" + r"opt/pypi": _MACHINE,
    r"pypi\.org/" + r"simple": _INDEX,
    r"files\.python" + r"hosted": _INDEX,
    r"arti" + r"factory": _INDEX,
    r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b": _UNFINISHED,
    r"pytest\." + r"skip\b|mark\." + r"skip\b": "a test that does not run",
}
# Texts that are not ours to change.
NOT_OURS = {"LICENSE"}


def line_limit(path: Path) -> int:
    """Return how many lines a file may have."""
    usual = MAXIMUM_MODULE_LINES if interpreter(path) == "python" else MAXIMUM_SCRIPT_LINES
    return ALLOWED.get(relative(path), (usual, ""))[0]


def long_functions(source: str) -> list[tuple[str, int]]:
    """Return name and number of lines of each function above the limit."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    sizes = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions]
    return [(name, size) for name, size in sizes if size > MAXIMUM_FUNCTION_LINES]


def has_docstring(source: str) -> bool:
    """Tell whether a module opens with a docstring; the string that makes a program start from /bin/sh is none."""
    body = ast.parse(source).body
    if body and source.splitlines()[1:2] and source.splitlines()[1].encode().startswith(SHELL_TO_PYTHON):
        body = body[1:]
    return bool(ast.get_docstring(ast.Module(body=body, type_ignores=[])))


def lacks_header(path: Path) -> bool:
    """Tell whether a file does not start with the line that says what it is."""
    text = text_of(path) or ""
    if interpreter(path) == "python":
        return bool(text.strip()) and not has_docstring(text)
    lines = [line for line in text.splitlines() if not line.startswith(("#!", "# shellcheck")) and line.strip(" #")]
    return not lines or not lines[0].startswith("#")


def forbidden_lines(path: Path) -> list[str]:
    """Return the lines of a file with something that must not occur, each with the reason."""
    text = text_of(path)
    lines = []
    for number, line in enumerate((text or "").splitlines(), 1):
        for pattern, reason in FORBIDDEN.items():
            if re.search(pattern, line):
                lines.append(f"{relative(path)}:{number}: {reason}: {line.strip()[:100]}")
    return lines


def values_as_statements(source: str) -> list[int]:
    """Lines where a tuple or a conditional value stands alone: two statements, or an `if`, written as a value."""
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    return sorted(node.lineno for node in statements if isinstance(node.value, ast.Tuple | ast.IfExp))


def test_files_fit_the_eye() -> None:
    too_long = []
    for path in [*python_files(), *shell_files()]:
        lines = len((text_of(path) or "").splitlines())
        if lines > line_limit(path):
            too_long.append(f"{relative(path)}: {lines} lines, at most {line_limit(path)}")
    assert not too_long, "\n".join(too_long)


def test_functions_fit_the_eye() -> None:
    too_long = [
        f"{relative(path)}: {name} has {size} lines, at most {MAXIMUM_FUNCTION_LINES}"
        for path in python_files()
        for name, size in long_functions(text_of(path) or "")
    ]
    assert not too_long, "\n".join(too_long)


def test_every_exception_is_needed_and_has_a_reason() -> None:
    for name, (limit, reason) in ALLOWED.items():
        usual = MAXIMUM_MODULE_LINES if interpreter(ROOT / name) == "python" else MAXIMUM_SCRIPT_LINES
        lines = len((ROOT / name).read_text().splitlines())
        assert usual < lines <= limit and reason, f"{name} has {lines} lines: take it out of ALLOWED"


def test_files_start_with_what_they_are() -> None:
    missing = [relative(path) for path in [*python_files(), *shell_files()] if lacks_header(path)]
    assert not missing, "no first docstring or comment line: " + ", ".join(missing)


def test_no_value_stands_for_statements() -> None:
    lines = [
        f"{relative(path)}:{line}: a tuple or a conditional value as a statement; write statements"
        for path in python_files()
        for line in values_as_statements(text_of(path) or "")
    ]
    assert not lines, "\n".join(lines)


def test_nothing_forbidden_is_written() -> None:
    paths = [path for path in regular_files() if relative(path) not in NOT_OURS]
    lines = [line for path in paths for line in forbidden_lines(path)]
    assert not lines, "\n".join(lines)


def test_text_files_are_utf8_with_unix_lines() -> None:
    wrong = []
    for path in regular_files():
        try:
            text = text_of(path)
        except UnicodeDecodeError:
            wrong.append(f"{relative(path)}: not UTF-8")
            continue
        if text and ("\r\n" in text or not text.endswith("\n")):
            wrong.append(f"{relative(path)}: CRLF, or no newline at the end")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("number", [MAXIMUM_FUNCTION_LINES, MAXIMUM_FUNCTION_LINES + 1])
def test_a_long_function_is_found(number: int) -> None:
    source = "def long():\n" + "    pass\n" * (number - 1)
    assert bool(long_functions(source)) == (number > MAXIMUM_FUNCTION_LINES)


def test_values_as_statements_are_found() -> None:
    source = "f(), g()\nf() if x else g()\nf()\nif x:\n    a, b = f(), g()\nreturned = f() if x else g()\n"
    assert values_as_statements(source) == [1, 2]


def test_what_must_not_occur_is_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("repository.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("see /" + "work/main\nfine: ${x}/work/main, exp/root/a\n# TO" + "DO: later\n")
    assert [line.split(":")[1] for line in forbidden_lines(page)] == ["1", "3"]


def test_a_missing_header_is_found(tmp_path: Path) -> None:
    for name, text, missing in (
        ("a.py", "import os\n", True),
        ("b.py", '"""In, out."""\nimport os\n', False),
        ("c.sh", "#!/usr/bin/env bash\n\nset -e\n", True),
        ("d.sh", "#!/usr/bin/env bash\n# In -> out.\nset -e\n", False),
    ):
        (tmp_path / name).write_text(text)
        assert lacks_header(tmp_path / name) == missing, name
