"""path.sh, cmd.sh and db.sh sourced from a recipe in: the Python, the variables or the message a recipe gets out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Tells whether it has torch, which is all that path.sh asks.
FAKE_PYTHON = '#!/usr/bin/env bash\n[ "${{1:-}}" != -c ] && echo "{name}" || exit {status}\n'
SHOW = '. ./path.sh; . ./path.sh; echo "$(python)|${MAIN_ROOT}|${PYTHONPATH}|${LC_ALL}|${OMP_NUM_THREADS}|${PATH}"'


def make_environment(folder: Path, name: str, *, has_torch: bool) -> Path:
    """Make bin/python in a folder; called without arguments it prints `name`."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE_PYTHON.format(name=name, status=0 if has_torch else 1))
    python.chmod(0o755)
    return folder


@pytest.fixture
def toolkit(root: Path, tmp_path: Path) -> Path:
    """A toolkit without an environment, in a folder with a space in its name, and a recipe that lies elsewhere."""
    folder = tmp_path / "my toolkit"
    template = folder / "egs2" / "TEMPLATE" / "ssl1"
    template.mkdir(parents=True)
    (folder / "espnet2").mkdir()
    (folder / "espnet2" / "__init__.py").touch()
    recipe = tmp_path / "else where" / "recipe"
    recipe.mkdir(parents=True)
    for name in ("path.sh", "cmd.sh", "db.sh"):
        shutil.copy(root / "egs2" / "TEMPLATE" / "ssl1" / name, template)
        (recipe / name).symlink_to(template / name)
    return folder


def source(toolkit: Path, script: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a strict bash script in the recipe's folder, in an environment without any Python but the ones given."""
    (toolkit.parent / "no python").mkdir(exist_ok=True)
    tools = toolkit.parent / "no python"
    for name in ("bash", "env", "dirname", "readlink", "cat"):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name) or name)
    return subprocess.run(
        ["bash", "-c", "set -euo pipefail; " + script],
        cwd=toolkit.parent / "else where" / "recipe",
        env={"PATH": str(tools), "HOME": os.environ.get("HOME", "/")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_own_environment_is_found_by_itself(toolkit: Path) -> None:
    make_environment(toolkit / "tools" / "venv", "own", has_torch=True)
    result = source(toolkit, SHOW)
    assert result.returncode == 0, result.stderr
    python, main_root, python_path, locale, threads, path = result.stdout.strip().split("|")
    assert (python, main_root, python_path, locale, threads) == ("own", str(toolkit), str(toolkit), "C", "1")
    assert path.split(":").count(str(toolkit / "utils")) == 1  # sourced twice, added once
    assert path.split(":").count(str(toolkit / "tools" / "venv" / "bin")) == 1


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
@pytest.mark.parametrize(("has_torch", "expected"), [(True, "users"), (False, "own")])
def test_the_users_active_environment_is_taken_if_it_has_torch(
    toolkit: Path, tmp_path: Path, variable: str, has_torch: bool, expected: str
) -> None:
    make_environment(toolkit / "tools" / "venv", "own", has_torch=True)
    users = make_environment(tmp_path / "users env", "users", has_torch=has_torch)
    result = source(toolkit, SHOW, **{variable: str(users)})
    assert result.stdout.split("|")[0] == expected, result.stderr


def test_a_python_on_path_with_torch_is_the_last_resort(toolkit: Path, tmp_path: Path) -> None:
    system = make_environment(tmp_path / "system", "system", has_torch=True)
    result = source(toolkit, f'PATH="{system}/bin:${{PATH}}"; {SHOW}')
    assert result.stdout.split("|")[0] == "system", result.stderr


def test_settings_of_the_caller_are_kept(toolkit: Path) -> None:
    make_environment(toolkit / "tools" / "venv", "own", has_torch=True)
    result = source(toolkit, SHOW, OMP_NUM_THREADS="3", PYTHONPATH="/mine")
    assert result.stdout.split("|")[2] == f"{toolkit}:/mine"
    assert result.stdout.split("|")[4] == "3"


@pytest.mark.parametrize("unfinished", [False, True])
def test_no_environment_gets_one_clear_message(toolkit: Path, unfinished: bool) -> None:
    if unfinished:
        make_environment(toolkit / "tools" / "venv", "own", has_torch=True)
        (toolkit / "tools" / "venv" / ".unfinished").touch()
    result = source(toolkit, SHOW)
    assert result.returncode != 0 and result.stdout == ""
    assert "make env" in result.stderr and "tools/setup_env.sh" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_copied_path_sh_says_that_it_must_be_a_link(toolkit: Path) -> None:
    link = toolkit.parent / "else where" / "recipe" / "path.sh"
    content = link.read_text()
    link.unlink()
    link.write_text(content)
    result = source(toolkit, SHOW)
    assert result.returncode != 0 and "must be a link" in result.stderr


def test_cmd_sh_gives_the_commands_and_refuses_an_unknown_cluster(toolkit: Path) -> None:
    shown = '. ./cmd.sh; echo "${train_cmd} ${cuda_cmd} ${decode_cmd}"'
    assert source(toolkit, shown).stdout == "run.pl run.pl run.pl\n"
    refused = source(toolkit, shown, cmd_backend="mainframe")
    assert refused.returncode != 0 and refused.stdout == ""
    assert "mainframe" in refused.stderr and "available: local" in refused.stderr


def test_cmd_sh_knows_every_back_end_and_passes_options_on(toolkit: Path) -> None:
    programs = {"stdout": "stdout.pl", "slurm": "slurm.pl", "sge": "queue.pl", "pbs": "pbs.pl", "lsf": "bsub.pl",
                "ssh": "ssh.pl"}  # fmt: skip
    for backend, program in programs.items():
        shown = source(toolkit, '. ./cmd.sh; echo "${train_cmd}"', cmd_backend=backend, cmd_options="--x 1 --dry_run")
        assert shown.stdout == f"{program} --x 1 --dry_run\n"


def test_db_sh_is_empty_unless_the_user_sets_a_folder(toolkit: Path) -> None:
    shown = '. ./db.sh; echo "[${LIBRISPEECH}] [${FESTVOX_RU}]"'
    assert source(toolkit, shown).stdout == "[] []\n"
    assert source(toolkit, shown, LIBRISPEECH="/a b/c").stdout == "[/a b/c] []\n"
