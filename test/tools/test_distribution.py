"""The repository -> source and wheel distributions; the installed wheel's commands do what `python -m` does."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from repository import ROOT, regular_files

import espnet2
from espnet2.bin.console import commands


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """Both, built of a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("distribution")
    for path in regular_files():
        name = path.relative_to(ROOT)
        if name.parts[0] in ("espnet2", "utils") or len(name.parts) == 1:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / "source" / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory) -> Path:
    """The wheel alone, in a folder of its own."""
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = distributions.glob("*.whl")
    words = ("install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return target


def run(installed: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, env=environment, cwd=installed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(distributions):
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    package = {path.relative_to(ROOT).as_posix() for path in regular_files() if path.is_relative_to(ROOT / "espnet2")}
    assert package <= names  # modules, templates of the report, py.typed
    tops = {name.split("/")[0] for name in names}
    assert tops == {"espnet2", f"espnet2_ssl-{espnet2.__version__}.dist-info"}
    assert {"espnet2/utils/cluster/backend.py", "espnet2/py.typed"} <= names
    for line in (f"Version: {espnet2.__version__}", "License-Expression: Apache-2.0", "Requires-Python: >=3.10"):
        assert line in metadata.splitlines()
    assert re.search(r"^Requires-Dist: torch<3,>=2\.", metadata, re.MULTILINE)


def test_the_source_distribution_builds_the_same_wheel(distributions, tmp_path):
    (source,) = distributions.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    words = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "out"), str(folder))
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    first, second = (zipfile.ZipFile(next(where.glob("*.whl"))) for where in (distributions, tmp_path / "out"))
    contents = [{item.filename: item.CRC for item in archive.infolist()} for archive in (first, second)]
    different = {name for name, crc in contents[0].items() if contents[1].get(name) != crc}
    assert contents[0].keys() == contents[1].keys() and all("RECORD" in name for name in different), different


def test_every_program_is_a_command(installed):
    programs = {path.stem for path in (ROOT / "espnet2/bin").glob("*.py")} - {"__init__", "console"}
    assert set(commands().values()) == programs
    assert {path.name for path in (installed / "bin").iterdir()} == set(commands())


@pytest.mark.parametrize("command", ["ssl-train", "ssl-launch", "ssl-export"])
def test_a_command_says_what_python_m_says(installed, command):
    theirs = run(installed, sys.executable, str(installed / "bin" / command), "--help")
    assert theirs == run(installed, sys.executable, "-m", f"espnet2.bin.{commands()[command]}", "--help")


def test_a_command_ends_as_the_program_does(installed):
    command = [sys.executable, str(installed / "bin/ssl-export"), "--no_such_option"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_names_and_versions_agree():
    lists = runpy.run_path(str(ROOT / "setup.py"))
    assert f'\nname = "{lists["NAME"]}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {espnet2.__version__}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {espnet2.__version__}" in changes or "\n## Unreleased" in changes
