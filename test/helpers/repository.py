"""The repository in, its own files out (git is asked; without git the tree is walked): what the contract tests read."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Only for a tree without git; otherwise .gitignore decides.
GENERATED_FOLDERS = {
    ".git", "venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", "data", "dump", "exp", "downloads",
    "build", "dist",
}  # fmt: skip
GENERATED_FILES = {"setup_env.log", "setup_env.lock"}


def _listed_by_git() -> list[Path] | None:
    """Return tracked files and those that git would add, or None outside a git checkout."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name]


def _listed_by_walking() -> list[Path]:
    """Return all files outside the folders that running the toolkit fills."""
    paths = []
    for folder, subfolders, names in os.walk(ROOT):
        generated = GENERATED_FOLDERS if "egs2" in folder or Path(folder) == ROOT else GENERATED_FOLDERS - {"data"}
        links = [name for name in subfolders if (Path(folder) / name).is_symlink()]
        subfolders[:] = [n for n in subfolders if n not in generated and not n.endswith(".egg-info") and n not in links]
        paths += [Path(folder) / name for name in [*names, *links] if name not in GENERATED_FILES]
    return paths


def repository_files() -> list[Path]:
    """Return every file and link of the repository, sorted; deleted but still tracked files are left out."""
    listed = _listed_by_git()
    paths = _listed_by_walking() if listed is None else listed
    return sorted(path for path in paths if path.is_symlink() or path.is_file())


def regular_files() -> list[Path]:
    """Return the files that are not links: each text is checked once, at its own place."""
    return [path for path in repository_files() if not path.is_symlink()]


def text_of(path: Path) -> str | None:
    """Return a file's text, or None if it is binary."""
    data = path.read_bytes()
    if b"\0" in data[:8192]:
        return None
    return data.decode("utf-8")


# Second line of a program that /bin/sh starts and hands to Python: a command to the one, a string to the other.
SHELL_TO_PYTHON = b'"""exec"'


def interpreter(path: Path) -> str:
    """Return "python" or "shell" for what runs a file, by its name or its first two lines, else ""."""
    with path.open("rb") as stream:
        first, second = stream.readline(200), stream.readline(200)
    if first.startswith(b"#!"):
        is_python = b"python" in first or second.startswith(SHELL_TO_PYTHON)
        return "python" if is_python else "shell" if b"sh" in first else ""
    return {".py": "python", ".sh": "shell"}.get(path.suffix, "")


def relative(path: Path) -> str:
    """Return a path as written in messages."""
    return path.relative_to(ROOT).as_posix()


def python_files() -> list[Path]:
    """Return all Python programs and modules, whatever their suffix."""
    return [path for path in regular_files() if interpreter(path) == "python"]


def shell_files() -> list[Path]:
    """Return all shell scripts, sourced ones included."""
    return [path for path in regular_files() if interpreter(path) == "shell"]
