"""Signals to a recipe in, nothing left running out: whatever runs below it, and however its run.sh was written."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from repository import ROOT

SUPERVISED = f"{ROOT}/utils/python.sh -SE {ROOT}/utils/supervise.py"
# What may be at work: a job of run.pl that saves and asks to be started again; a program in a pipeline; a deaf one.
WORK = {
    "job": f'{ROOT}/utils/run.pl JOB=1:2 x.JOB.log bash -c \'trap "echo saved; exit 99" TERM; touch at_work; '
    "sleep 987 & wait'",
    "pipeline": 'python3 -c \'import time; open("at_work", "w"); time.sleep(987)\' | cat > out',
    "in the background": "{ touch at_work; exec sleep 987; } & wait",
    "orphan": "( ( touch at_work; exec sleep 987 ) & ); while true; do sleep 0.1; done",
}
RUN = {"waits": "{} child.sh\ntouch went_on", "exec": "exec {} child.sh"}


def write_run(folder: Path, how: str, work: str) -> list[str]:
    (folder / "child.sh").write_text(f"set -euo pipefail\ntrap 'exit 143' TERM\n{WORK[work]}\ntouch went_on\n")
    (folder / "run.sh").write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{RUN[how].format(SUPERVISED)}\n")
    return ["bash", "run.sh"]


def processes_in(folder: Path) -> list[str]:
    """Command lines of the living processes that were started in a folder."""
    command_lines = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "cwd") == str(folder):
                command_lines.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return [line for line in command_lines if line]


def wait_until(condition, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("how", RUN)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_run_sh_ends_everything_below_it(tmp_path, how, work, number):
    process = subprocess.Popen(
        write_run(tmp_path, how, work), cwd=tmp_path, stderr=-1, text=True, start_new_session=True
    )
    assert wait_until((tmp_path / "at_work").exists)
    process.send_signal(number)
    status = process.wait(30)
    assert status == (128 + number if how == "exec" else -number)
    assert wait_until(lambda: not processes_in(tmp_path)), processes_in(tmp_path)
    assert not (tmp_path / "went_on").exists()
    assert "stopped by SIG" in process.stderr.read()
    assert work != "job" or "saved" in (tmp_path / "x.1.log").read_text()


def test_ctrl_c_reaches_the_whole_group(tmp_path):
    process = subprocess.Popen(write_run(tmp_path, "waits", "job"), cwd=tmp_path, stderr=-1, start_new_session=True)
    assert wait_until((tmp_path / "at_work").exists)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    assert wait_until(lambda: not processes_in(tmp_path)) and not (tmp_path / "went_on").exists()


def test_a_third_signal_kills_what_does_not_listen(tmp_path):
    write_run(tmp_path, "exec", "job")
    (tmp_path / "child.sh").write_text("bash -c 'trap \"\" TERM; touch at_work; while :; do sleep 0.2; done'\n")
    process = subprocess.Popen(["bash", "run.sh"], cwd=tmp_path, stderr=-1, start_new_session=True)
    assert wait_until((tmp_path / "at_work").exists)
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    assert process.wait(20) == 128 + signal.SIGTERM and wait_until(lambda: not processes_in(tmp_path))


@pytest.mark.parametrize("start", ["bash run.sh &", "nohup bash run.sh > /dev/null &", "setsid bash run.sh &"])
def test_a_run_in_the_background_outlives_the_script_that_started_it(tmp_path, start):
    write_run(tmp_path, "exec", "job")
    (tmp_path / "child.sh").write_text("sleep 1.5\ntouch done\n")
    subprocess.run(["bash", "-c", f"{start} sleep 0.5"], cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    assert wait_until((tmp_path / "done").exists)


@pytest.mark.parametrize("status", [0, 1, 99])
def test_the_exit_status_is_the_scripts(tmp_path, status):
    (tmp_path / "child.sh").write_text(f'echo "$1"\nexit {status}\n')
    result = subprocess.run([*SUPERVISED.split(), "child.sh", "a b"], cwd=tmp_path, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (status, "a b\n", "")


def test_one_run_at_a_time_and_a_killed_one_leaves_no_lock_that_holds(tmp_path):
    lock = f"{ROOT}/utils/python.sh -SE {ROOT}/utils/run_lock.py"
    (tmp_path / "child.sh").write_text(
        f'{lock} take . dump || exit 3\n[ -z "$1" ] || {{ touch at_work; sleep 987; }}\n'
    )
    command = [*SUPERVISED.split(), "child.sh"]
    first = subprocess.Popen([*command, "wait"], cwd=tmp_path, start_new_session=True)
    assert wait_until((tmp_path / "at_work").exists)
    second = subprocess.run([*command, ""], cwd=tmp_path, capture_output=True, text=True)
    assert second.returncode == 3 and f"process {first.pid} on " in second.stderr and "child.sh wait" in second.stderr
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    third = subprocess.run([*command, ""], cwd=tmp_path, capture_output=True, text=True)
    assert third.returncode == 0 and "is taken over" in third.stderr
    assert not list(tmp_path.glob("**/.run_lock*"))
