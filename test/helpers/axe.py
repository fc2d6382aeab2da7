"""A page in a browser in, what axe-core says of contrast, names and the keyboard out."""

import json
import subprocess
import sys
import unittest
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from browser import Browser

PACKAGE = "axe-playwright-python==0.1.8"  # has axe-core 4.12; only that file of it is used
# Whether the page reads well, not what is merely good practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@cache
def axe_script() -> str:
    """The text of axe.min.js.

    Raises:
        SkipTest: the package cannot be had here.
    """
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if not wheels:
            raise unittest.SkipTest(f"NOT RUN: {PACKAGE}: {done.stderr.strip()}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            (name,) = [name for name in wheel.namelist() if name.endswith("axe.min.js")]
            return wheel.read(name).decode()


def violations(browser: Browser, scope: str = "document") -> list[str]:
    """One line for each rule and element that fails in the open page: rule, what to do, the element.

    Args:
        browser: with the page open.
        scope: an expression in JavaScript, the part of the page to judge.
    """
    browser.run(f"{axe_script()}; true")
    options = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
    result = browser.run(f"axe.run({scope}, {options})")
    return [
        f"{violation['id']}: {node['failureSummary'].splitlines()[-1].strip()}: {node['html'][:200]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
