"""Processes started together in, the exit status that a queue or a user needs out."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def start(folder: Path, how: str) -> subprocess.Popen:
    """Two processes of test/helpers/launched.py."""
    words = ["-m", "espnet2.bin.launch", "--standalone", "--nproc_per_node", "2", "-m", "launched", how, str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'test/helpers'}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *words], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_of_the_queue_reaches_all_processes_and_asks_to_be_started_again(tmp_path, number):
    process = start(tmp_path, "stop")
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("running*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 99, errors
    assert {path.name: path.read_text() for path in tmp_path.glob("stopped*")} == {
        "stopped0": f"{number.name} 2",
        "stopped1": f"{number.name} 2",
    }
    assert "Traceback" not in errors


@pytest.mark.parametrize(("how", "status"), [("2", 2), ("99", 99), ("kill", 137)])
def test_the_status_is_that_of_the_process_that_failed_first(tmp_path, how, status):
    process = start(tmp_path, how)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    assert ("process 1 was ended by SIGKILL" in errors) == (how == "kill")
