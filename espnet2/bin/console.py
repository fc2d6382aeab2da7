"""The programs of this folder as commands of an installed distribution: ssl-train is espnet2/bin/ssl_train.py."""

import importlib.metadata
import runpy
import sys
from pathlib import Path

import espnet2

DISTRIBUTION = "espnet2-ssl"
PREFIX = "ssl_"


def commands() -> dict[str, str]:
    """Name of a command -> module of its program, for every program of this folder."""
    files = {path.stem for path in Path(__file__).parent.glob("*.py")} - {"__init__", "console"}
    modules = {f"{PREFIX}{name.removeprefix(PREFIX)}": name for name in files - {"espnet2_ssl"}}
    return {name.replace("_", "-"): module for name, module in sorted({**modules, DISTRIBUTION: "espnet2_ssl"}.items())}


def foreign_package() -> str:
    """Return what is wrong where PyPI's espnet, whose package is named alike, was installed over ours; else ""."""
    version = importlib.metadata.version(DISTRIBUTION)
    if version == espnet2.__version__:
        return ""
    return (
        f"{Path(espnet2.__file__).parent} is version {espnet2.__version__}, but {DISTRIBUTION} {version} is installed: "
        "another distribution with a package named espnet2 was installed over it, probably espnet. Both cannot be in "
        "one environment. Remedy: an environment for each, or pip uninstall espnet and then "
        f"pip install --force-reinstall --no-deps {DISTRIBUTION}"
    )


def main() -> None:
    """Run the program that this command is named after, in every way as `python -m` does."""
    if refusal := foreign_package():
        sys.exit(f"{Path(sys.argv[0]).name}: error: {refusal}")
    module = commands()[Path(sys.argv[0]).name]
    runpy.run_module(f"espnet2.bin.{module}", run_name="__main__", alter_sys=True)
