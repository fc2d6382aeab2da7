"""The repository and carried packages onto the path of this process and its children: nothing needs to be installed.

Imported before anything of the toolkit, so it imports the standard library alone. A machine without a network gets
the packages that it lacks from `tools/carry_wheels.sh`, in a folder beside the code.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARRIED = ROOT / "tools" / "carried" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
# What training imports besides torch, torchaudio and numpy, which nothing carries: they are large.
NEEDED = ("soundfile", "soxr", "pydantic", "yaml", "safetensors", "tensorboard")


def missing_modules() -> list[str]:
    """Those of NEEDED that cannot be imported."""
    return [name for name in NEEDED if find_spec(name) is None]


def prepare_path() -> None:
    """Put the repository on the path, and the carried packages before all others if one is missing.

    Before all others, because pydantic and what it needs fit each other in one version only.
    """
    paths = [str(ROOT)]
    if missing_modules() and CARRIED.is_dir():
        paths.append(str(CARRIED))
    sys.path[:0] = [path for path in paths if path not in sys.path]
    missing = missing_modules()
    if missing:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"gpu: error: {sys.executable} lacks {', '.join(missing)}, and {CARRIED} does not hold them: where there "
            f"is a network, run tools/carry_wheels.sh --python_version {version} and copy that folder here"
        )
    os.environ["PYTHONPATH"] = extended(os.environ.get("PYTHONPATH", ""), paths)


def extended(given: str, paths: list[str]) -> str:
    """PYTHONPATH with paths before what it held."""
    held = [path for path in given.split(os.pathsep) if path]
    return os.pathsep.join([*(path for path in paths if path not in held), *held])


prepare_path()
