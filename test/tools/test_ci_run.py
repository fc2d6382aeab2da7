""".ci/run beside a small Makefile in: tiers run in order, their minutes, and a failure in the exit status out."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = "test:\n\t@echo run test\ntest-recipes:\n\t@echo run recipes; exit {status}\n"


def run_tiers(root: Path, folder: Path, *tiers: str, status: int = 0) -> subprocess.CompletedProcess:
    """Copy .ci/run beside a Makefile whose second tier exits with `status`, and run it."""
    (folder / ".ci").mkdir()
    shutil.copy(root / ".ci" / "run", folder / ".ci" / "run")
    (folder / "Makefile").write_text(MAKEFILE.format(status=status))
    return subprocess.run(
        [str(folder / ".ci" / "run"), *tiers], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("status", [0, 1])
def test_every_tier_that_exists_is_run_and_a_failure_is_kept(root: Path, tmp_path: Path, status: int) -> None:
    result = run_tiers(root, tmp_path, status=status)
    assert (result.returncode != 0) == (status != 0)
    assert "run test\n" in result.stdout and "run recipes\n" in result.stdout
    assert "test: passed in 0.0 minutes" in result.stdout
    assert f"test-recipes: {'FAILED' if status else 'passed'} in 0.0 minutes" in result.stdout
    assert "test-cluster: not there yet" in result.stdout


def test_an_unknown_tier_is_refused(root: Path, tmp_path: Path) -> None:
    result = run_tiers(root, tmp_path, "tset")
    assert result.returncode == 2 and "no tier 'tset'" in result.stderr
