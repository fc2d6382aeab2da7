"""Every shell script of the repository in, those that shellcheck, bash -n or the house rules refuse out."""

import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT, relative, shell_files

# SC1091: files sourced through a path that only exists in a recipe's folder cannot be followed.
# SC2034, SC2154: options are variables set by one script and read by the one that sources it, as in Kaldi.
SHELLCHECK_EXCLUDED = "SC1091,SC2034,SC2154"


def shellcheck(paths: list[Path]) -> str:
    """Run this environment's shellcheck; return what it complains about. A file without `#!` is sourced, by bash."""
    program = Path(sys.prefix) / "bin" / "shellcheck"
    command = [str(program) if program.exists() else "shellcheck", "-x", "-S", "warning", "-f", "gcc"]
    complaints = ""
    for options, group in (
        ([], [path for path in paths if has_first_line(path)]),
        (["-s", "bash"], [path for path in paths if not has_first_line(path)]),
    ):
        if group:
            arguments = [*command, *options, "-e", SHELLCHECK_EXCLUDED, *map(str, group)]
            result = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=False)
            complaints += result.stdout + result.stderr
    return complaints


def has_first_line(path: Path) -> bool:
    """Tell whether a script names its interpreter."""
    return path.read_bytes().startswith(b"#!")


def is_program(path: Path) -> bool:
    """Tell a script that is run from one that is sourced: only the first is executable."""
    return os.access(path, os.X_OK)


def test_shellcheck_is_content() -> None:
    complaints = shellcheck(shell_files())
    assert not complaints, complaints


def test_shellcheck_finds_a_mistake(tmp_path: Path) -> None:
    script = tmp_path / "wrong.sh"
    script.write_text("#!/usr/bin/env bash\ncd $1\nrm -r ${2}/*\n")
    assert "SC2164" in shellcheck([script])


def test_the_hook_before_a_commit_is_as_content() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert f"shellcheck -x -S warning -s bash -e {SHELLCHECK_EXCLUDED} " in hooks


def test_bash_parses_every_script() -> None:
    wrong = []
    for path in shell_files():
        result = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            wrong.append(f"{relative(path)}: {result.stderr}")
    assert not wrong, "\n".join(wrong)


def is_careless(script: str) -> bool:
    """Tell whether a bash program goes on after an error; after an `exec` there is nothing to go on with."""
    commands = [line for line in script.splitlines() if line.strip() and not line.startswith("#")]
    return "set -euo pipefail" not in commands and not commands[0].startswith("exec ")


def test_bash_programs_stop_at_the_first_error() -> None:
    programs = [path for path in shell_files() if is_program(path) and b"bash" in path.read_bytes().split(b"\n")[0]]
    careless = [relative(path) for path in programs if is_careless(path.read_text())]
    assert not careless, "no 'set -euo pipefail': " + ", ".join(careless)


def test_a_careless_program_is_found() -> None:
    assert is_careless("#!/usr/bin/env bash\n# Header.\ncd a\nrm b\n")
    assert not is_careless("#!/usr/bin/env bash\n\nset -euo pipefail\ncd a\n")
    assert not is_careless('#!/usr/bin/env bash\nexec other "$@"\n')


def test_programs_are_executable() -> None:
    programs = [path for path in shell_files() if has_first_line(path) and path.suffix != ".template"]
    blocked = [relative(path) for path in programs if not is_program(path)]
    assert not blocked, "a #! line but not executable: " + ", ".join(blocked)
