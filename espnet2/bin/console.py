"""The programs of this folder as commands of an installed distribution: ssl-train is espnet2/bin/ssl_train.py."""

import runpy
import sys
from pathlib import Path

PREFIX = "ssl_"


def commands() -> dict[str, str]:
    """Name of a command -> module of its program, for every program of this folder."""
    files = {path.stem for path in Path(__file__).parent.glob("*.py")} - {"__init__", "console"}
    modules = {f"{PREFIX}{name.removeprefix(PREFIX)}": name for name in files}
    return {name.replace("_", "-"): module for name, module in sorted(modules.items())}


def main() -> None:
    """Run the program that this command is named after, in every way as `python -m` does."""
    module = commands()[Path(sys.argv[0]).name]
    runpy.run_module(f"espnet2.bin.{module}", run_name="__main__", alter_sys=True)
