"""The container files: linters' findings out, and that they install what they say, as somebody who is not root."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

FOLDER = ROOT / "tools/containers"
BIN = Path(sys.executable).parent


def section(name: str) -> str:
    """Return the lines of a section of the Apptainer definition."""
    text = (FOLDER / "apptainer.def").read_text(encoding="utf-8")
    match = re.search(rf"^%{name}\b[^\n]*\n(.*?)(?=^%|\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"apptainer.def has no %{name}"
    return match.group(1)


def test_the_dockerfile_passes_hadolint() -> None:
    done = subprocess.run([BIN / "hadolint", FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo apt-get install x\n")
    assert subprocess.run([BIN / "hadolint", tmp_path / "Dockerfile"], capture_output=True).returncode == 1


@pytest.mark.parametrize("name", ["post", "environment", "runscript", "test"])
def test_scripts_of_the_apptainer_definition_pass_shellcheck(name: str) -> None:
    script = section(name).replace("{{ setup_options }}", "${setup_options}")
    command = [BIN / "shellcheck", "--shell=bash", "--exclude=SC2154", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_argument_of_the_apptainer_definition_has_a_default() -> None:
    text = (FOLDER / "apptainer.def").read_text(encoding="utf-8")
    used = set(re.findall(r"\{\{ (\w+) \}\}", text))
    assert used == set(re.findall(r"^\s+(\w+)=", section("arguments"), re.MULTILINE))


def test_the_environment_is_built_by_somebody_who_is_not_root() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    user, build = text.index("\nUSER ${USER_ID}"), text.index("tools/setup_env.sh ${SETUP_OPTIONS}")
    assert user < build and "\nUSER root" not in text
    assert set(re.findall(r"--(\w+) (?:true|uv|<)", text)) <= {"torch_index_url", "installer", "locked", "with_test"}


def test_what_runs_leave_behind_is_not_in_an_image() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    folders = [line.strip("/") for line in lines if line.startswith("/") and line.endswith("/")]
    assert folders and set(folders) <= set(ignored), set(folders) - set(ignored)
