"""Environments with one thing wrong in, the line of the report that names it and its remedy out."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest


def run_check(root: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run the report in this Python with some environment variables changed."""
    return subprocess.run(
        [sys.executable, str(root / "tools" / "check_install.py")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def add_distribution(folder: Path, name: str, version: str, *, files: str = "") -> None:
    """Put the metadata of an installed distribution into a folder of the module path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(files)


@pytest.fixture(scope="module")
def tool(root: Path) -> dict:
    """The functions of the tool, without running it."""
    return runpy.run_path(str(root / "tools" / "check_install.py"))


def test_this_environment_works(root: Path) -> None:
    result = run_check(root)
    assert result.returncode == 0, result.stdout
    for expected in ("torch 2", "torchaudio MFCC", "FLAC", "no other package named espnet2", "bash", "free disk"):
        assert expected in result.stdout


def test_espnet_beside_us_and_a_package_too_old_are_refused(root: Path, tmp_path: Path) -> None:
    add_distribution(tmp_path, "espnet", "202511", files="espnet/__init__.py,,\nespnet2/__init__.py,,\n")
    add_distribution(tmp_path, "soxr", "0.1.0")
    result = run_check(root, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    bad = [line for line in result.stdout.splitlines() if line.startswith("MISSING")]
    assert len(bad) == 2, result.stdout
    assert "soxr 0.1.0" in bad[0] and "pip install" in bad[0]
    assert "'espnet'" in bad[1] and "pip uninstall espnet" in bad[1]


def test_a_package_that_does_not_import_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "soxr.py").write_text("raise ImportError('libsoxr.so: no such file')\n")
    result = run_check(root, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert "libsoxr.so: no such file" in result.stdout and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("version", "requirement", "expected"),
    [
        ("2.13.0+cpu", "torch>=2.13,<3", True),
        ("2.9.1", "torch>=2.13,<3", False),
        ("3.0", "torch>=2.13,<3", False),
        ("1", "x", True),
    ],
)
def test_versions_compare_as_numbers(tool: dict, version: str, requirement: str, expected: bool) -> None:
    assert tool["within"](version, tool["split_requirement"](requirement)[1]) is expected


def test_missing_packages_get_their_install_line(tool: dict) -> None:
    required = tool["check_package"]("surely-not-installed>=1")
    optional = tool["check_package"]("surely-not-installed>=1", extra="eval")
    assert required.state == tool["BAD"] and "tools/setup_env.sh" in required.text
    assert optional.state == tool["NOTE"] and "[eval]'" in optional.text
