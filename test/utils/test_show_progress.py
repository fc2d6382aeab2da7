"""utils/show_progress.py: one line for each stage, errors as they come, everything in a log, a bar on a terminal."""

import doctest
import importlib.util
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from repository import ROOT

PROGRAM = ROOT / "utils/show_progress.py"
SAID = """\
2026-01-01 10:00:00 ssl1.sh: stage 1: corpus -> data/{train,dev}
synthesised 21 of 42 speakers, 7 s to go
2026-01-01 10:00:09 ssl1.sh: stage 2: skipped: no --speed_perturb_factors
2026-01-01 10:00:09 ssl1.sh: stage 7: conf/a.yaml -> exp/a
2026-01-01 10:00:12 train.sh: 2026-01-01 10:00:11 INFO update 300/1200, epoch 1: loss 3.3
WARNING: the loss rises
"""


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("show_progress", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stage_is_a_line_and_the_log_has_all(tmp_path: Path) -> None:
    command = [sys.executable, "-SE", PROGRAM, "--log", tmp_path / "a.log"]
    done = subprocess.run(command, input=SAID, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        " 0:00  stage 1: corpus -> data/{train,dev}",
        "WARNING: the loss rises",
        " 0:00  stage 7: conf/a.yaml -> exp/a",
    ]
    assert (tmp_path / "a.log").read_text() == SAID


def test_times_are_those_of_the_stage(program: ModuleType) -> None:
    seconds = iter([0.0, 10.0, 95.0, 95.0, 100.0])
    shown = io.StringIO()
    progress = program.Progress(shown, False, clock=lambda: next(seconds))
    for line in ("a.sh: stage 5: mfcc", "a.sh: stage 6: index"):
        progress.take(line)
    progress.finish()
    assert shown.getvalue() == " 1:25  stage 5: mfcc\n 0:05  stage 6: index\n"


def test_a_terminal_shows_a_bar_that_fits(tmp_path: Path) -> None:
    reader, writer = pty.openpty()
    command = [sys.executable, "-SE", PROGRAM, "--log", tmp_path / "a.log"]
    environment = {**os.environ, "COLUMNS": "66"}
    subprocess.run(command, input=SAID, stdout=writer, text=True, check=True, env=environment)
    os.close(writer)
    shown = os.read(reader, 1 << 16).decode()
    os.close(reader)
    assert "\r\033[K 0:00  [######..................]  25 %  stage 7: conf/a.yaml" in shown
    drawn = [text.rstrip("\r\n") for text in shown.split("\033[K") if "[#" in text]
    assert drawn and all(len(text) < 66 for text in drawn)


def test_examples_in_docstrings(program: ModuleType) -> None:
    result = doctest.testmod(program)
    assert result.attempted >= 3 and not result.failed
