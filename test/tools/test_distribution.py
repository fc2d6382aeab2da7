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
from repository import ROOT, regular_files, repository_files

import espnet2
from espnet2.bin.console import commands


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """Both, built of a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("distribution")
    for path in repository_files():
        name = path.relative_to(ROOT)
        if name.parts[0] in ("espnet2", "utils", "egs2", "tools") or len(name.parts) == 1:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "source" / name, follow_symlinks=False)
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


def test_a_distribution_says_which_commit_it_was_built_of(tmp_path):
    build = runpy.run_path(str(ROOT / "setup.py"))
    source, file = tmp_path / "source", tmp_path / "out/commit.txt"
    (source / "espnet2").mkdir(parents=True)
    (source / "espnet2/__init__.py").write_text("")
    build["write_commit"].__globals__["ROOT"] = source
    build["write_commit"](file)
    assert not file.exists()  # no repository, or one around it that is not ours
    git = ("git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "one")):
        subprocess.run([*git, *words], check=True)
    build["write_commit"](file)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert file.read_text() == head
    file.unlink()
    (source / "espnet2/new.py").write_text("")
    build["write_commit"](file)
    assert not file.exists()  # what is built differs from the commit


def test_an_installed_package_knows_its_commit(installed, tmp_path):
    shutil.copytree(installed / "espnet2", tmp_path / "espnet2", ignore=shutil.ignore_patterns("*.gz"))
    (tmp_path / "espnet2/commit.txt").write_text("0123456789abcdef\n")
    ask = "from espnet2.utils.provenance import current_code; print(current_code().describe())"
    assert "commit 0123456789" in run(tmp_path, sys.executable, "-c", ask)
    assert "commit unknown" in run(installed, sys.executable, "-c", ask)


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


@pytest.fixture(scope="module")
def tree(installed, tmp_path_factory) -> Path:
    """The recipes that the installed wheel carries, in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("recipes") / "my recipes"
    told = run(installed, str(installed / "bin/espnet2-ssl"), "recipe", str(folder))
    assert "mini_espeak" in told
    return folder


def test_a_wheel_carries_every_recipe_and_no_model(distributions, tree):
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in repository_files()
        if path.relative_to(ROOT).parts[0] in ("egs2", "utils", "tools") and "/models/" not in path.as_posix()
    }
    present = {
        (Path(folder) / name).relative_to(tree).as_posix()
        for folder, folders, names in os.walk(tree)
        for name in [*names, *(name for name in folders if (Path(folder) / name).is_symlink())]
    }
    made = {".installed_python", ".recipes_version", "espnet2", "setup.py"}
    assert present - made == expected - {"tools/venv"}
    for name in expected - {"tools/venv"}:
        assert (tree / name).is_symlink() == (ROOT / name).is_symlink(), name
        assert os.access(tree / name, os.X_OK) == os.access(ROOT / name, os.X_OK) or (tree / name).is_symlink(), name


def recipe(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment["PYTHONPATH"] = str(installed)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_recipe_of_the_wheel_runs_without_a_clone(installed, tree):
    made = recipe(installed, tree, "egs2/TEMPLATE/ssl1/setup.sh", "egs2/mine/ssl1")
    assert made.returncode == 0, made.stderr
    lengths = "from espnet2.data.audio import length; import espnet2; print(espnet2.__path__[0])"
    where = recipe(installed, tree / "egs2/mine/ssl1", "bash", "-c", f". ./path.sh && python3 -c '{lengths}'")
    assert where.returncode == 0 and where.stdout.startswith(str(tree)), where.stderr
    done = recipe(installed, tree / "egs2/mini_espeak/ssl1", "./run.sh", "--stage", "1", "--stop_stage", "1")
    assert done.returncode == 0, done.stderr
    assert (tree / "egs2/mini_espeak/ssl1/data/train/wav.scp").stat().st_size > 0


def test_trees_that_do_not_fit_are_told(installed, tree, tmp_path):
    folder = tree / "egs2/mini_espeak/hubert1"
    (tree / ".recipes_version").write_text("0.0.1\n")
    assert "of espnet2-ssl 0.0.1" in recipe(installed, folder, "bash", "-c", ". ./path.sh").stderr
    python = (tree / ".installed_python").read_text()
    (tree / ".installed_python").write_text("/nowhere/python\n")
    gone = recipe(installed, folder, "bash", "-c", ". ./path.sh")
    (tree / ".installed_python").write_text(python)
    assert gone.returncode == 1 and "/nowhere/python does not run" in gone.stderr
    again = recipe(installed, tmp_path, str(installed / "bin/espnet2-ssl"), "recipe", str(tree))
    assert again.returncode == 2 and "nothing was changed" in again.stderr and "Traceback" not in again.stderr


def test_the_doctor_needs_no_clone(installed):
    told = run(installed, str(installed / "bin/espnet2-ssl"), "doctor", "--to", "train", "evaluate")
    assert "everything to train and evaluate works" in told and "jiwer [eval]" in told and "onnx" not in told
    assert f"GiB at {installed}" in told  # where the user is, not where the archive was unpacked for a moment


def test_another_package_of_the_same_name_over_ours_is_refused(installed, tmp_path):
    shutil.copytree(installed, tmp_path / "both", ignore=shutil.ignore_patterns("*.gz"))
    start = tmp_path / "both/espnet2/__init__.py"
    start.write_text(start.read_text().replace(f'"{espnet2.__version__}"', '"202511"'))
    command = [str(tmp_path / "both/bin/ssl-train"), "--help"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "both")}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "version 202511" in done.stderr and "pip uninstall espnet" in done.stderr
