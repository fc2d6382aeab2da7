"""The name of a scheduler or of a browser in, its Debian packages installed out; or a test that was not run."""

import subprocess
import unittest

from repository import ROOT


def require_packages(name: str) -> None:
    """Install what test/cluster/packages.sh lists under a name; nothing happens where it is there.

    Raises:
        SkipTest: it is missing and cannot be installed here.
    """
    script = ROOT / "test" / "cluster" / "packages.sh"
    result = subprocess.run([str(script), name], capture_output=True, text=True, check=False)
    if result.returncode == 3:
        raise unittest.SkipTest(f"NOT RUN: {result.stderr.strip().splitlines()[-1]}")
    assert result.returncode == 0, result.stderr
