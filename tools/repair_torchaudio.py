#!/usr/bin/env python3
"""An installed torchaudio in, one that imports beside this torch out; a user's own environment only gets the remedy.

torchaudio's 2.11 wheel is built for CUDA. Beside a CPU-only torch its native libraries do not load, and the import
fails on libc10_cuda.so, though its Python part (MFCC, mel, resample, filters, models) needs none of them: only
`forced_align` and the RNN-T loss do. With lib/*.so moved aside torchaudio skips them, so that is the repair.

Usage: python tools/repair_torchaudio.py --owned_environment tools/venv
Exit status: 0 torchaudio imports, 1 it does not (the message says what to do).
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

UNUSED_FOLDER = "unused"  # below torchaudio/lib, where torchaudio does not look


def import_error() -> str:
    """Try `import torchaudio` in a fresh process; return "" or the last line of what went wrong."""
    result = subprocess.run([sys.executable, "-c", "import torchaudio"], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return ""
    return (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]


def find_package() -> Path | None:
    """Return torchaudio's folder without importing it, or None where it is not installed."""
    spec = importlib.util.find_spec("torchaudio")
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


def native_libraries(package: Path) -> list[Path]:
    """Return the native libraries that torchaudio tries to load, in a fixed order."""
    return sorted((package / "lib").glob("*.so"))


def move_aside(libraries: list[Path]) -> None:
    """Move each library to `unused/` beside it; interrupted and called again, it finishes the job."""
    for library in libraries:
        unused = library.parent / UNUSED_FOLDER
        unused.mkdir(exist_ok=True)
        library.replace(unused / library.name)


def remedy(package: Path) -> str:
    """Return the commands with which users repair an environment of their own."""
    lib = package / "lib"
    return (
        f"this environment is yours, so nothing was changed. Either install the torchaudio build that belongs to your "
        f"torch (same index, same CUDA or CPU), or move the libraries aside; only forced_align and the RNN-T loss "
        f'need them:\n    mkdir -p "{lib}/{UNUSED_FOLDER}" && mv "{lib}"/*.so "{lib}/{UNUSED_FOLDER}/"'
    )


def repair(owned_environment: Path) -> tuple[bool, str]:
    """Make torchaudio importable where that is our business.

    Args:
        owned_environment: the only folder in which files may be moved.

    Returns:
        whether torchaudio imports now, and one message for the user.
    """
    package = find_package()
    if package is None:
        return False, "torchaudio is not installed; remedy: tools/setup_env.sh, or pip install torchaudio"
    error = import_error()
    if not error:
        return True, "torchaudio imports, nothing to repair"
    libraries = native_libraries(package)
    if not libraries or error.startswith("ModuleNotFoundError"):
        return False, f"torchaudio does not import, and not because of its native libraries: {error}"
    if not package.is_relative_to(owned_environment.resolve()):
        return False, f"torchaudio's native libraries do not load beside this torch ({error}); {remedy(package)}"
    move_aside(libraries)
    error_after = import_error()
    if error_after:
        return False, f"torchaudio does not import even without its native libraries: {error_after} (before: {error})"
    return True, f"torchaudio repaired: {len(libraries)} native libraries moved to lib/{UNUSED_FOLDER} (was: {error})"


def main() -> int:
    """Parse the command line, repair, print one message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--owned_environment", type=Path, required=True, help="the environment that may be changed")
    works, message = repair(parser.parse_args().owned_environment)
    print(f"repair_torchaudio: {message}", file=sys.stdout if works else sys.stderr)
    return 0 if works else 1


if __name__ == "__main__":
    sys.exit(main())
