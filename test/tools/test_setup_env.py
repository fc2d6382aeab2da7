"""tools/setup_env.sh with a fake Python in: what it builds, reuses, throws away and refuses out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Records how it is called, and does as little of venv and pip as the script can see.
FAKE_PYTHON = r"""#!/usr/bin/env bash
echo "$*" >>"${FAKE_CALLS}"
case "$1 ${2:-}" in
    "-c "*) exit "${FAKE_TOO_OLD:-0}" ;;
    "--version ") echo "Python 3.8.1" ;;
    "-m venv") [ -z "${FAKE_NO_VENV:-}" ] || exit 1; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip")
        if [ "$3" = config ]; then printf '%s' "${FAKE_PIP_CONFIG:-}"; exit 0; fi
        if [ -n "${FAKE_PIP_FAILS:-}" ]; then echo "pip cannot find a package" >&2; exit 1; fi
        echo "Installing collected packages: first, second" ;;
esac
"""

FAKE_UV = r"""#!/usr/bin/env bash
echo "-m uv $*" >>"${FAKE_CALLS}"
case "$1" in
    venv) [ -z "${FAKE_UV_FAILS:-}" ] || exit 1; mkdir -p "${!#}/bin"; cp "${PYTHON}" "${!#}/bin/python" ;;
    pip) printf '%s\n' "Downloading torch (180.1MiB)" "Installed 2 packages in 10ms" >&2 ;;
esac
"""


class Clone:
    """A copy of tools/ in a folder with a space in its name, with a fake Python."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder.parent / "calls"
        self.python = folder.parent / "fake_python"
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)
        (folder / "tools").mkdir(parents=True)
        shutil.copy(root / "setup.py", folder)
        for path in (*(root / "tools").glob("*.txt"), root / "tools/setup_env.sh", root / "tools/installers.sh"):
            shutil.copy(path, folder / "tools")

    @property
    def venv(self) -> Path:
        """The environment that the script builds."""
        return self.folder / "tools" / "venv"

    def add_uv(self) -> str:
        """Make a fake uv; return the PATH that has it."""
        uv = self.calls_file.with_name("bin") / "uv"
        uv.parent.mkdir()
        uv.write_text(FAKE_UV)
        uv.chmod(0o755)
        return f"{uv.parent}:{os.environ['PATH']}"

    def run(self, *options: str, **environment: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        """Run the script; return its result and the calls of `venv` and `pip` it made."""
        self.calls_file.write_text("")
        result = subprocess.run(
            [str(self.folder / "tools" / "setup_env.sh"), *options],
            env=os.environ | {"PYTHON": str(self.python), "FAKE_CALLS": str(self.calls_file)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = [call for call in self.calls_file.read_text().splitlines() if call.startswith("-m")]
        return result, [call for call in calls if "pip config" not in call]


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Clone:
    """A clone without an environment."""
    return Clone(root, tmp_path / "my clone")


def test_the_second_call_does_nothing(clone: Clone) -> None:
    result, calls = clone.run()
    assert result.returncode == 0, result.stderr
    assert calls[0].startswith("-m venv") and len(calls) == 3  # venv, requirements, the toolkit itself
    assert "unpacking 2 packages" in result.stdout
    again, calls = clone.run()
    assert again.returncode == 0 and calls == [] and "up to date" in again.stdout


def test_test_packages_are_added_to_what_is_there(clone: Clone) -> None:
    clone.run()
    _, calls = clone.run("--with_test", "true")
    assert not any("venv " in call.split("/")[0] for call in calls)
    assert any("requirements-test.txt" in call for call in calls)
    assert clone.run("--with_test", "true")[1] == clone.run()[1] == []


def test_a_changed_pin_installs_again_without_starting_anew(clone: Clone) -> None:
    clone.run()
    (clone.folder / "tools" / "requirements.txt").write_text("torch==2.13.1\n")
    _, calls = clone.run()
    assert calls and not calls[0].startswith("-m venv")


def test_an_interrupted_build_is_thrown_away(clone: Clone) -> None:
    clone.run()
    (clone.venv / ".unfinished").touch()
    (clone.venv / "half_a_package").touch()
    result, calls = clone.run()
    assert result.returncode == 0 and calls[0].startswith("-m venv")
    assert not (clone.venv / "half_a_package").exists() and not (clone.venv / ".unfinished").exists()


def test_a_moved_clone_builds_anew(clone: Clone, root: Path) -> None:
    clone.run()
    clone.folder = clone.folder.rename(clone.folder.with_name("moved"))
    assert clone.run()[1][0].startswith("-m venv")


def test_a_failing_pip_is_shown_and_not_taken_for_success(clone: Clone) -> None:
    result, _ = clone.run(FAKE_PIP_FAILS="1")
    assert result.returncode != 0
    assert "pip cannot find a package" in result.stderr and "setup_env: error" in result.stderr
    assert (clone.venv / ".unfinished").exists()
    assert clone.run()[1][0].startswith("-m venv")


def test_the_index_is_used_for_torch_only(clone: Clone) -> None:
    _, calls = clone.run("--torch_index_url", "https://index.example/cpu")
    with_index = [call for call in calls if "https://index.example/cpu" in call]
    assert len(with_index) == 1
    assert with_index[0].split()[-2:] == ["torch==2.13.0", "torchaudio==2.11.0"]


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ((), {"FAKE_TOO_OLD": "1"}, ["Python 3.8.1", "3.10 to 3.14"]),
        ((), {"PYTHON": "/nowhere/python"}, ["/nowhere/python", "does not run"]),
        ((), {"FAKE_NO_VENV": "1"}, ["python3-venv", "conda"]),
        (("--torch",), {}, ["unknown option --torch", "--torch_index_url"]),
        (("--with_test",), {}, ["--with_test needs a value"]),
        (("--with_test", "yes"), {}, ["true or false"]),
        (("--locked", "yes"), {}, ["true or false"]),
        (("--installer", "poetry"), {}, ["auto, uv or pip", "poetry"]),
        (("--installer", "uv"), {"PATH": "/usr/bin:/bin"}, ["uv is not on PATH", "pip install uv"]),
    ],
)
def test_a_mistake_gets_one_clear_message(clone: Clone, options, environment, expected) -> None:
    result, _ = clone.run(*options, **environment)
    assert result.returncode != 0
    assert len([line for line in result.stderr.splitlines() if "error:" in line]) == 1
    for word in expected:
        assert word in result.stderr
    assert not (clone.venv / ".installed-requirements").exists()


def test_help_shows_every_option(clone: Clone) -> None:
    result, calls = clone.run("--help")
    assert result.returncode == 0 and calls == []
    for word in ("--with_test", "--torch_index_url", "--installer", "--locked", "PYTHON=", "default"):
        assert word in result.stdout


def test_uv_builds_the_environment_where_it_is_there(clone: Clone) -> None:
    result, calls = clone.run(PATH=clone.add_uv())
    assert result.returncode == 0, result.stderr
    assert [call.split()[2] for call in calls] == ["venv", "pip", "pip"]
    assert "Downloading torch (180.1MiB)" in result.stdout and "Installed 2 packages" in result.stdout
    assert clone.run()[1] == []  # what uv built is what pip would build


def test_pip_is_taken_where_only_pip_knows_the_packages(clone: Clone) -> None:
    path = clone.add_uv()
    result, calls = clone.run(PATH=path, FAKE_PIP_CONFIG="global.index-url='https://mirror.example/simple'\n")
    assert result.returncode == 0 and not any("-m uv" in call for call in calls)
    assert "settings of its own" in result.stdout and "--installer uv" in result.stdout
    (clone.venv / ".unfinished").touch()
    _, calls = clone.run(
        "--installer", "uv", PATH=path, FAKE_PIP_CONFIG="global.index-url='https://mirror.example/simple'\n"
    )
    assert calls[0].startswith("-m uv venv")


def test_settings_of_pip_about_other_things_do_not_matter(clone: Clone) -> None:
    _, calls = clone.run(PATH=clone.add_uv(), FAKE_PIP_CONFIG="global.timeout='60'\n:env:.no-index=''\n")
    assert calls[0].startswith("-m uv venv")


def test_a_failing_uv_is_one_error(clone: Clone) -> None:
    result, _ = clone.run(PATH=clone.add_uv(), FAKE_UV_FAILS="1")
    assert result.returncode != 0 and "'uv venv' failed" in result.stderr
    assert clone.run()[1][0].startswith("-m venv")


def test_locked_packages_are_compared_by_hash(clone: Clone) -> None:
    _, calls = clone.run("--locked", "true")
    (locked,) = [call for call in calls if "locked-" in call]
    assert "locked-cuda.txt" in locked and "--require-hashes" in locked and "--no-deps" in locked
    assert clone.run("--locked", "true")[1] == []
    (clone.venv / ".unfinished").touch()
    _, calls = clone.run("--locked", "true", "--torch_index_url", "https://index.example/cpu")
    assert any("locked-cpu.txt" in call for call in calls) and any("index.example" in call for call in calls)
