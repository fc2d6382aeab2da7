"""Names of packages in, a new environment that holds only them, and programs run in it, out."""

import re
import subprocess
import sys
from pathlib import Path

from repository import ROOT


def pins(*packages: str) -> list[str]:
    """The tested versions of packages for this Python."""
    text = "".join((ROOT / "tools" / name).read_text() for name in ("requirements.txt", "requirements-test.txt"))
    return [line for line in text.splitlines() if re.split(r"[=;\s]", line)[0] in packages]


def fresh_environment(folder: Path, *packages: str) -> Path:
    """Python of a new environment with these packages and what they need; torchaudio is repaired if it is there."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", *pins(*packages)], check=True)
    if "torchaudio" in packages:
        subprocess.run([python, ROOT / "tools/repair_torchaudio.py", "--owned_environment", folder], check=True)
    return python


def run(python: Path | str, program: str, *arguments: Path, **options) -> None:
    """A program's text with arguments; its messages where it fails."""
    result = subprocess.run(
        [python, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )
    assert result.returncode == 0, result.stderr[-3000:]
