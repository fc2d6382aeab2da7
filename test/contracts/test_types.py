"""mypy's errors and the `Any` of signatures in, every file that owes more types than its entry below out."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from repository import ROOT, relative

# Files that mypy (mypy.ini) does not pass yet: how many errors each may have. A debt, which only shrinks: an entry that
# is larger than it must be is an error, and so is a file with errors that has no entry.
DEBT: dict[str, int] = {
    "espnet2/data/format/filter.py": 2,
    "espnet2/data/format/plan.py": 1,
    "espnet2/data/format/write.py": 14,
}
# Rooms -> how often their signatures say `Any` (as dict[str, Any], too). Also a debt; a room without an entry has none.
ANY_IN_SIGNATURES: dict[str, int] = {
    "fileio": 2,
    "tasks": 12,
    "train": 1,
    "utils": 12,
}

ERROR = re.compile(r"^([^:]+):\d+: error: ", re.MULTILINE)


def mypy(*arguments: str) -> str:
    """Run this environment's mypy with mypy.ini; return what it says.

    Raises:
        AssertionError: it could not check: a wrong option, or a file that is not Python.
    """
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode in (0, 1) and not result.stderr, result.stdout + result.stderr
    return result.stdout


def differences(counted: Counter[str], debt: dict[str, int]) -> list[str]:
    """What is owed beyond the list, and what the list holds although it is paid."""
    wrong = []
    for name in sorted(counted.keys() | debt.keys()):
        number, allowed = counted[name], debt.get(name, 0)
        if number > allowed:
            wrong.append(f"{name}: {number}, allowed {allowed}")
        elif number < allowed:
            wrong.append(f"{name}: {number}, listed {allowed}: lower or delete the entry")
    return wrong


def names_any(annotation: ast.expr) -> int:
    """How often an annotation says Any; quoted annotations are read, too."""
    nodes = list(ast.walk(annotation))
    quoted = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    plain = sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes)
    return plain + sum(len(re.findall(r"\bAny\b", text)) for text in quoted)


def any_in_signatures(source: str) -> int:
    """How often the functions of a file take or return Any."""
    total = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            taken = node.args
            arguments = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
            annotations = [argument.annotation for argument in arguments if argument is not None]
            total += sum(names_any(annotation) for annotation in [*annotations, node.returns] if annotation is not None)
    return total


@pytest.mark.timeout(1200)  # without a cache it reads torch first
def test_mypy_finds_no_more_than_the_debt() -> None:
    report = mypy()
    wrong = differences(Counter(ERROR.findall(report)), DEBT)
    files = {line.split(":")[0] for line in wrong}
    shown = [line for line in report.splitlines() if line.split(":")[0] in files]
    assert not wrong, "\n".join([*wrong, *shown])


def test_signatures_say_any_no_more_than_the_debt() -> None:
    counted: Counter[str] = Counter()
    for path in sorted((ROOT / "espnet2").rglob("*.py")):
        parts = Path(relative(path)).parts
        counted[parts[1]] += any_in_signatures(path.read_text(encoding="utf-8"))
    wrong = differences(+counted, ANY_IN_SIGNATURES)
    assert not wrong, "\n".join(wrong)


def test_planted_faults_are_seen() -> None:
    report = "a.py:3: error: no\na.py:9: error: no\na.py:9: note: hint\nb.py:1: error: no\n"
    counted = Counter(ERROR.findall(report))
    assert differences(counted, {"a.py": 2, "b.py": 1}) == []
    assert [line.split(":")[0] for line in differences(counted, {"a.py": 1})] == [
        "a.py",
        "b.py",
    ]  # more, and a new file
    assert [line.split(":")[0] for line in differences(counted, {"a.py": 3, "b.py": 1, "c.py": 1})] == ["a.py", "c.py"]
    assert any_in_signatures("def f(a: Any, *b: dict[str, Any]) -> 'list[Any]':\n    c: Any = 1\n") == 3
    assert any_in_signatures("def f(a: Company, b: object) -> None: ...\n") == 0


@pytest.mark.timeout(1200)
def test_mypy_is_strict_in_the_lower_rooms(tmp_path: Path) -> None:
    """A planted fault of each kind is found in a module of such a room, by the same options."""
    planted = tmp_path / "planted.py"
    planted.write_text("def f(a):\n    return a\n\n\ndef g(a: dict) -> int:\n    return a['x']\n\n\nx: int = 'y'\n")
    strict = (ROOT / "mypy.ini").read_text(encoding="utf-8").replace("espnet2.ssl.*", "planted,espnet2.ssl.*")
    config = tmp_path / "mypy.ini"
    config.write_text(strict.replace("packages = espnet2\n", "").replace("plugins = pydantic.mypy\n", ""))
    assert "planted,espnet2.ssl.*" in strict
    report = mypy("--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), str(planted))
    kinds = set(re.findall(r"\[([a-z-]+)\]$", report, re.MULTILINE))
    assert kinds == {"no-untyped-def", "type-arg", "no-any-return", "assignment"}, report
