"""The smoke recipe of hubert1, run once for all tests: each test that changes it works on a copy."""

import fcntl
import os
from pathlib import Path

import pytest
from recipe_folders import copy_recipe, link_recipe, run


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mini_espeak/{hubert1,ssl1} after hubert1/smoke.sh, in a folder with a space in its name. Not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the workers' folders lie side by side in the folder of the whole run
        shared = shared.parent
    folder = shared / "smoke recipe"
    with open(shared / "smoke.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "hubert1" / "output.txt").exists():
            link_recipe("mini_espeak", folder)
            result = run(folder / "hubert1", "./smoke.sh", timeout=280)
            (folder / "hubert1" / "output.txt").write_text(f"{result.stdout}\nexit status {result.returncode}\n")
    output = (folder / "hubert1" / "output.txt").read_text()
    assert output.endswith("exit status 0\n"), output
    return folder


@pytest.fixture
def recipe(smoke: Path, tmp_path: Path) -> Path:
    """A copy of `smoke` to change."""
    return copy_recipe(smoke, tmp_path / "a copy")


@pytest.fixture(scope="module")
def module_recipe(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for a file of tests that follow each other, or that only see errors before anything is written."""
    return copy_recipe(smoke, tmp_path_factory.mktemp("recipes") / "a copy")
