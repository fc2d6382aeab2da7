"""A lock: one holder, on this machine or another; the dead are taken over, the living are named."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from espnet2.utils import run_lock
from espnet2.utils.run_lock import DEAD_SECONDS, LOCK_NAME, Holder, LockedError, held, release, take

PARENT = os.getppid()  # a living process that is not this one


def plant(folder: Path, holder: Holder, age: float = 0.0) -> Path:
    """A lock of somebody, touched `age` seconds ago."""
    path = folder / LOCK_NAME
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def other_machine(**changes) -> Holder:
    here = Holder.of(os.getpid(), "./run.sh --stage 3")
    return replace(here, host="node7", process_space="another boot", process=4242, **changes)


def test_a_living_holder_is_named_and_nothing_changes(tmp_path):
    before = plant(tmp_path, Holder.of(PARENT, "./run.sh --stage 1")).read_bytes()
    with pytest.raises(LockedError, match=rf"process {PARENT} on .*, since 20.*\./run\.sh --stage 1"):
        take(tmp_path, "second")
    assert (tmp_path / LOCK_NAME).read_bytes() == before
    release(tmp_path)  # ours it is not
    assert (tmp_path / LOCK_NAME).exists()


def test_a_holder_may_ask_again_and_others_may_after_it(tmp_path):
    assert take(tmp_path, "first") == take(tmp_path, "first again") == ""
    release(tmp_path)
    assert take(tmp_path, "for another", process=PARENT) == ""
    with pytest.raises(LockedError):
        take(tmp_path, "third")


@pytest.mark.parametrize("how", ["gone", "number used again", "damaged"])
def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(tmp_path, how):
    process = subprocess.Popen([sys.executable, "-c", ""])
    holder = Holder.of(process.pid, "killed")
    process.wait()
    if how == "number used again":
        holder = replace(holder, process=PARENT, started="1")
    path = plant(tmp_path, holder)
    if how == "damaged":
        path.write_text("{")
    told = take(tmp_path, "next")
    assert how == "damaged" or ("ended without a word" in told and "(killed)" in told)
    assert Holder.read(path).process == os.getpid() and list(tmp_path.iterdir()) == [path]


def test_another_machine_is_dead_when_its_lock_was_not_touched_for_long(tmp_path):
    plant(tmp_path, other_machine(), age=DEAD_SECONDS - 60)
    with pytest.raises(LockedError, match=r"process 4242 on node7.*if you know that it is gone, remove .*run_lock"):
        take(tmp_path, "x")
    plant(tmp_path, other_machine(), age=DEAD_SECONDS + 60)
    assert "node7" in take(tmp_path, "x")


def test_a_job_that_went_back_into_the_queue_takes_its_own_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("CLUSTER_JOB", "77")
    monkeypatch.setenv("CLUSTER_RESTARTS", "1")
    plant(tmp_path, other_machine(job="77", restart="1"))
    with pytest.raises(LockedError):  # the same start of the job: on its other node
        take(tmp_path, "x")
    plant(tmp_path, other_machine(job="78", restart="0"))
    with pytest.raises(LockedError, match="job 78"):
        take(tmp_path, "x")
    plant(tmp_path, other_machine(job="77", restart="0"))
    take(tmp_path, "x")


def test_of_many_at_once_one_gets_it(tmp_path):
    """Processes, started together on a dead lock; each holds it to its end and says whether it got it."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    holder = Holder.of(dead.pid, "dead")
    dead.wait()
    plant(tmp_path, holder)
    program = (
        "import sys; from espnet2.utils.run_lock import *\n"
        "sys.stdin.readline()\n"
        "try: take(sys.argv[1], 'x'); print('mine', flush=True)\n"
        "except LockedError: print('theirs', flush=True)\n"
        "sys.stdin.readline()"
    )
    root = Path(run_lock.__file__).parents[2]
    processes = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path], stdin=-1, stdout=-1, text=True, cwd=root)
        for _ in range(8)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.stdout.readline().strip() for process in processes]
    for process in processes:
        process.communicate("end\n")
    assert sorted(said) == ["mine", *["theirs"] * 7]


def test_a_held_folder_is_touched_and_released(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "BEAT_SECONDS", 0.01)
    beaten = threading.Event()
    monkeypatch.setattr(run_lock, "beat", lambda folder: beaten.set())
    with held(tmp_path / "exp/new", "train"):
        assert beaten.wait(10)
        assert (tmp_path / "exp/new" / LOCK_NAME).exists()
    assert not any((tmp_path / "exp/new").iterdir())
