"""The Makefile in, the targets that a user or .ci/run relies on out."""

import re
import subprocess
from pathlib import Path

import pytest


def make(root: Path, *arguments: str) -> str:
    """Run make in the repository; return what it prints."""
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_help_is_the_default_and_lists_every_target(root: Path) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony
    shown = make(root)
    for target in phony.group(1).split():
        assert f"make {target} " in shown


@pytest.mark.parametrize(
    ("target", "last_step"),
    [
        ("demo", "egs2/mini_espeak/demo.sh"),
        ("doc", "-m sphinx"),
        ("test", "-m pytest"),
        ("test-browser", "-m browser"),
        ("test-cluster", "-m cluster"),
        ("test-recipes", "-m recipes"),
        ("lint", "test/contracts"),
    ],
)
def test_each_target_builds_the_environment_first(root: Path, target: str, last_step: str) -> None:
    steps = make(root, "--dry-run", target).splitlines()
    assert steps[0].startswith("tools/setup_env.sh") and last_step in steps[-1]


def test_the_gpu_benchmark_needs_no_environment(root: Path) -> None:
    """gpu.sh builds one only where no Python has torch."""
    assert make(root, "--dry-run", "bench-gpu", "BENCH_OPTIONS=--tiny").split() == ["benchmark/gpu.sh", "--tiny"]
