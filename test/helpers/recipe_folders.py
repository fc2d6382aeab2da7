"""A corpus of egs2/ in, a recipe folder elsewhere that runs the same scripts out; the repository stays as it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from repository import ROOT

RECIPES = ROOT / "egs2"
MADE_BY_RUNNING = {"data", "dump", "exp", "downloads", ".run_lock"}
KMEANS = ("iter0_mfcc_km20", "iter1_espnet_hubert_l1_km20")  # of mini_espeak/hubert1/smoke.sh
MODELS = ("hubert_iter0_smoke_mfcc_km20", "hubert_iter1_smoke_espnet_hubert_l1_km20")


def link_recipe(corpus: str, folder: Path) -> Path:
    """Make `folder`/{hubert1,ssl1}: what git keeps of the corpus's recipes, links made absolute. Returns `folder`."""
    for task in ("hubert1", "ssl1"):
        (folder / task).mkdir(parents=True)
        for source in (RECIPES / corpus / task).iterdir():
            target = folder / task / source.name
            if source.name in MADE_BY_RUNNING:
                continue
            if source.is_symlink() or source.name == "local":
                target.symlink_to(source.resolve())
            elif source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy2(source, target)
    return folder


def copy_recipe(source: Path, target: Path) -> Path:
    """Copy a recipe that has run, links as links. Returns `target`."""
    return Path(shutil.copytree(source, target, symlinks=True))


def set_up_recipe(task: str, target: Path) -> subprocess.CompletedProcess:
    """Run egs2/TEMPLATE/<task>/setup.sh."""
    return run(ROOT, str(RECIPES / "TEMPLATE" / task / "setup.sh"), str(target))


def run(folder: Path, *command: str, timeout: float = 200, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in a folder with this Python's environment active; `.stdout` holds both streams."""
    variables = {**os.environ, "VIRTUAL_ENV": sys.prefix, **environment}
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeed(folder: Path, *command: str, **environment: str) -> str:
    """Run a command that must succeed; what it printed."""
    result = run(folder, *command, **environment)
    assert result.returncode == 0, result.stdout
    return result.stdout


def refuse(folder: Path, *command: str, **environment: str) -> str:
    """Run a command that must fail with one clear error: no traceback, no shell's own complaint; what it printed."""
    result = run(folder, *command, **environment)
    assert result.returncode != 0, result.stdout
    for complaint in ("Traceback", "unbound variable", "command not found", "syntax error"):
        assert complaint not in result.stdout, result.stdout
    return result.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every file below a folder; of a link, where it leads."""
    content_of = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content_of[str(path.relative_to(folder))] = os.fsencode(path.readlink())
        elif path.is_file():
            content_of[str(path.relative_to(folder))] = path.read_bytes()
    return content_of
