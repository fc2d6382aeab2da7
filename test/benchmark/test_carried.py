"""A machine that lacks packages in; where its Python finds them, or what to do, out."""

import os
import subprocess
import sys
from pathlib import Path

import carried
import pytest

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave sys.path and PYTHONPATH as they were."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(carried.ROOT)])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/of/the/user", "/second"]))


def test_what_is_missing_comes_from_the_carried_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "carried_in_this_test.py").write_text("")
    monkeypatch.setattr(carried, "NEEDED", ("json", "carried_in_this_test"))
    monkeypatch.setattr(carried, "CARRIED", tmp_path)
    assert carried.missing_modules() == ["carried_in_this_test"]
    carried.prepare_path()
    assert sys.path[:2] == [str(carried.ROOT), str(tmp_path)]
    expected = [str(carried.ROOT), str(tmp_path), "/of/the/user", "/second"]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == expected


def test_where_nothing_is_missing_the_carried_folder_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(carried, "CARRIED", tmp_path)
    monkeypatch.setattr(carried, "NEEDED", ("json",))
    carried.prepare_path()
    carried.prepare_path()  # twice is once
    assert str(tmp_path) not in sys.path and sys.path.count(str(carried.ROOT)) == 1
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(carried.ROOT), "/of/the/user", "/second"]


def test_without_the_folder_the_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(carried, "NEEDED", ("no_such_module",))
    monkeypatch.setattr(carried, "CARRIED", tmp_path / "absent")
    with pytest.raises(SystemExit, match=f"no_such_module.*tools/carry_wheels.sh --python_version {VERSION}"):
        carried.prepare_path()


def test_no_empty_entry_is_made_of_an_empty_pythonpath() -> None:
    """An empty entry would be the current folder."""
    assert carried.extended("", ["/a"]) == "/a"
    assert carried.extended(f"/b{os.pathsep}", ["/a", "/b"]) == os.pathsep.join(["/a", "/b"])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--python_version", "2.7"], "3.10 to 3.14"),
        (["--platform"], "needs a value"),
        (["--plattform", "x"], "unknown option --plattform"),
    ],
)
def test_a_mistake_in_carry_wheels_is_named(root: Path, words: list[str], named: str) -> None:
    script = root / "tools/carry_wheels.sh"
    result = subprocess.run([script, *words], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1 and named in result.stderr


@pytest.mark.parametrize(("version", "pycparser"), [("3.10", "3.11"), ("3.11", "3.12"), ("3.12", "3.12")])
def test_carry_wheels_asks_for_the_tested_versions(root: Path, tmp_path: Path, version: str, pycparser: str) -> None:
    """With a pip that only says what it was asked for."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nwhile [ "$1" != --target ]; do shift; done\nmkdir -p "$2"\n')
    python.chmod(0o755)
    output = tmp_path / "out"
    result = subprocess.run(
        [root / "tools/carry_wheels.sh", "--python_version", version, "--output", output],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    asked = result.stdout.splitlines()
    assert f"pycparser=={pycparser}" in asked and output.is_dir() and not output.with_suffix(".unfinished").exists()
    assert asked[asked.index("--python-version") + 1] == version
    for name in ("soundfile", "soxr", "pydantic", "pyyaml", "safetensors"):
        assert sum(word.startswith(f"{name}==") for word in asked) == 1
