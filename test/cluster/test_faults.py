"""Faults of real schedulers in, one clear message and a true exit status out."""

import itertools
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from clusters import Cluster, finish, wait_until

pytestmark = pytest.mark.cluster
HOSTS = "127.0.0.1:4,127.0.0.2:4"


def job_ids(cluster: Cluster) -> list[str]:
    """The jobs in the queue."""
    if cluster.name.startswith("slurm"):
        return sorted(set(cluster.call("squeue", "-h", "-o", "%F").split()))
    return sorted({line.split()[0] for line in cluster.call("qstat").splitlines() if line.strip()[:1].isdigit()})


def cancel(cluster: Cluster, *ids: str) -> None:
    cluster.call("scancel" if cluster.name == "slurm" else "qdel", *ids)


def held(cluster: Cluster, tmp_path) -> list[str]:
    """Options with which a job stays pending."""
    command = {"slurm": "command sbatch --hold", "grid_engine": "command qsub -h -S /bin/bash -j y"}[cluster.name]
    (tmp_path / "held.conf").write_text(f"{command}\ndefault status_seconds=6\n")
    return ["--config", "held.conf"]


def kill_controller(cluster: Cluster) -> None:
    """Slurm's by SIGTERM: after SIGKILL it may not know that a job has started, and would start it a second time."""
    if cluster.name == "slurm":
        cluster.kill_process("slurmctld.pid", signal.SIGTERM)
    else:
        cluster.kill_process("qmaster/qmaster.pid", signal.SIGKILL)


def test_wrong_partition(queue, tmp_path):
    option = {"slurm": "--partition", "grid_engine": "--queue"}[queue.name]
    result = queue.run(tmp_path, option, "nowhere", "logs/x.log", "true")
    assert result.returncode == 1 and "does not take the job: " in result.stderr and "Traceback" not in result.stderr
    assert re.search("invalid partition|unknown queue", result.stderr)
    assert not list((tmp_path / "logs").iterdir())  # nothing half-written


def test_cancelled_while_pending(queue, tmp_path):
    process = queue.start(tmp_path, *held(queue, tmp_path), "JOB=1:3", "x.JOB.log", "true")
    wait_until(lambda: job_ids(queue))
    cancel(queue, *job_ids(queue))
    result = finish(process, 90)
    assert result.returncode == 1 and "3 / 3 failed" in result.stderr
    assert "task 1 (cancelled" in result.stderr or "task 1 (lost" in result.stderr
    assert "no log x.1.log" in result.stderr


def test_cancelled_while_running(queue, tmp_path):
    process = queue.start(tmp_path, "x.log", "echo", "working", ";", "sleep", 62, "|", "cat")
    wait_until(lambda: (tmp_path / "x.log").exists() and "working" in (tmp_path / "x.log").read_text())
    cancel(queue, *job_ids(queue))
    result = finish(process, 60)
    assert result.returncode == 1 and "    working\n" in result.stderr
    assert re.search(r"job failed \((cancelled \(CANCELLED\)|.*killed)", result.stderr), result.stderr
    wait_until(lambda: "sleep 62" not in queue.call("ps", "ax"), 20)  # nothing goes on in the dark


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_what_was_submitted(cluster, tmp_path, number):
    hosts = ["--host", HOSTS] if cluster.name == "sshd" else []
    process = cluster.start(tmp_path, *hosts, "JOB=1:3", "x.JOB.log", "echo", "working", ";", "sleep", 63)
    wait_until(lambda: all((tmp_path / f"x.{task}.log").exists() for task in (1, 2, 3)))
    process.send_signal(number)
    result = finish(process, 60)
    assert result.returncode == 128 + number and "cancelled job " in result.stderr and "Traceback" not in result.stderr
    wait_until(lambda: "sleep 63" not in cluster.call("ps", "ax"), 20)
    if cluster.name != "sshd":
        wait_until(lambda: not job_ids(cluster), 20)
    assert not list(tmp_path.rglob("environment"))  # no copy of the user's variables stays


def test_controller_killed_and_started_again(queue, tmp_path):
    """Running tasks survive it, and so does the program that waits; it says so, once."""
    command = ["echo", "working", ";", "sleep", 12, ";", "exit", "$((JOB-1))"]
    process = queue.start(tmp_path, "JOB=1:2", "x.JOB.log", *command)
    wait_until(lambda: (tmp_path / "x.2.log").exists() and "working" in (tmp_path / "x.2.log").read_text())
    kill_controller(queue)
    time.sleep(9)
    queue.do("controller" if queue.name == "slurm" else "master")
    result = finish(process, 120)
    assert result.returncode == 1 and "1 / 2 failed" in result.stderr and "task 2 (exit code 1)" in result.stderr
    said = result.stderr.count("does not answer")
    assert said == result.stderr.count("answers again") <= 1, result.stderr
    assert said or queue.name == "slurm"  # squeue waits by itself, for as long as this


def test_submission_waits_for_the_controller(queue, tmp_path):
    kill_controller(queue)
    process = queue.start(tmp_path, "x.log", "echo", "late")
    time.sleep(5)
    assert process.poll() is None
    queue.do("controller" if queue.name == "slurm" else "master")
    result = finish(process, 90)
    assert result.returncode == 0, result.stderr
    if queue.name != "slurm":  # sbatch waits by itself, for as long as this
        assert "does not answer" in result.stderr and "answers again" in result.stderr
    assert (tmp_path / "x.log").read_text().count("\nlate\n") == 1


def test_preempted_and_finished_later(slurm, tmp_path):
    """A job of a higher partition takes the node; the preempted one comes back, and the program says both."""
    command = ["echo", "start-$CLUSTER_RESTARTS", ";", "test", "$CLUSTER_RESTARTS", "=", "1", "||", "sleep", 64]
    process = slurm.start(tmp_path, "--num-nodes", 2, "--num-threads", 4, "--requeue", "true", "low.log", *command)
    wait_until(lambda: (tmp_path / "low.log").exists() and "start-0" in (tmp_path / "low.log").read_text())
    high = slurm.run(tmp_path, "--partition", "high", "--num-threads", 4, "high.log", "sleep", 3)
    assert high.returncode == 0, high.stderr
    result = finish(process, 120)
    assert result.returncode == 0 and "went back into the queue" in result.stderr, result.stderr
    assert (tmp_path / "low.log").read_text().count("start-1") == 2  # both nodes


def test_an_error_state_is_a_failure(grid_engine, tmp_path):
    (tmp_path / "wrong.conf").write_text("command qsub -wd /nowhere/at/all -S /bin/bash -j y\n")
    result = grid_engine.run(tmp_path, "--config", "wrong.conf", "x.log", "true", seconds=60)
    assert result.returncode == 1 and "the scheduler cannot run it: state Eqw" in result.stderr
    assert "/nowhere/at/all" in result.stderr and not job_ids(grid_engine)


def count_calls(cluster: Cluster, tmp_path, program: str):
    """Put a program of the same name first on PATH that notes the time of each call."""
    real = subprocess.run(["which", program], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / program
    shim.write_text(f'#!/bin/sh\ndate +%s.%N >> {tmp_path}/calls\nexec {real} "$@"\n')
    shim.chmod(0o755)
    cluster.environment["PATH"] = f"{tmp_path / 'bin'}:{cluster.environment['PATH']}"
    return lambda: [float(line) for line in (tmp_path / "calls").read_text().split()]


def test_ten_thousand_tasks(queue, tmp_path):
    """One array (Slurm's limit here is 4,000: three), one question in two seconds at most, one cancellation."""
    before = queue.environment["PATH"]
    calls = count_calls(queue, tmp_path, "squeue" if queue.name == "slurm" else "qstat")
    began = time.monotonic()
    process = queue.start(tmp_path, *held(queue, tmp_path), "JOB=1:10000", "log/x.JOB.log", "true")
    expected = 3 if queue.name == "slurm" else 1
    queue.environment["PATH"] = before
    wait_until(lambda: len(job_ids(queue)) == expected, 60)
    submitted = time.monotonic() - began
    time.sleep(12)
    process.send_signal(signal.SIGTERM)
    result = finish(process, 60)
    assert result.returncode == 143 and "cancelled job " in result.stderr
    wait_until(lambda: not job_ids(queue), 30)
    times = calls()
    print(f"{queue.name}: submitted in {submitted:.1f} s, {len(times)} questions in {time.monotonic() - began:.0f} s")
    assert len(times) >= 2 and min(b - a for a, b in itertools.pairwise(times)) > 1.9


def test_a_host_that_dies(sshd, tmp_path):
    """The connection to one of two hosts ends: the job fails and names the host; the task there ends too."""
    command = "echo $$ > pid.JOB ; while [ ! -e stop.JOB ]; do sleep 0.1; done".split()
    process = sshd.start(tmp_path, "--host", HOSTS, "JOB=1:2", "x.JOB.log", *command)
    wait_until(lambda: (tmp_path / "pid.1").exists() and (tmp_path / "pid.2").exists())
    sessions = sshd.call("pgrep", "-P", (sshd.folder / "127.0.0.2.pid").read_text().strip()).split()
    sshd.call("kill", "-9", *sessions)
    there = Path("/proc", (tmp_path / "pid.2").read_text().strip())
    wait_until(lambda: not there.exists(), 20)
    assert process.poll() is None  # the other task goes on
    (tmp_path / "stop.1").touch()
    result = finish(process, 60)
    assert result.returncode == 1
    assert "first failure: task 2 (host 127.0.0.2: the connection failed or was lost" in result.stderr


def test_a_host_that_is_not_there(sshd, tmp_path):
    result = sshd.run(tmp_path, "--host", "127.0.0.9:1", "x.log", "true")
    assert result.returncode == 1 and "host 127.0.0.9: the connection failed" in result.stderr
    assert "Connection refused" in result.stderr


def test_a_node_that_dies(slurm_netns, tmp_path):
    """Last, as the node stays down: its daemon and its job are killed; the job fails with the name of the node."""
    (tmp_path / "node2.conf").write_text("command sbatch --nodelist node2\n")
    command = ["echo", "$$", ">", "pid", ";", "sleep", 66]
    process = slurm_netns.start(tmp_path, "--config", "node2.conf", "--requeue", "false", "x.log", *command)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    slurm_netns.kill_process("slurmd.node2.pid", signal.SIGKILL)
    job = int((tmp_path / "pid").read_text())
    runner = int(Path(f"/proc/{job}/stat").read_text().rpartition(")")[2].split()[1])
    daemon = int(Path(f"/proc/{runner}/stat").read_text().rpartition(")")[2].split()[1])  # slurmstepd
    for number in (daemon, runner, job):
        os.kill(number, signal.SIGKILL)
    result = finish(process, 120)
    assert result.returncode == 1 and "the node failed (NODE_FAIL) on node2" in result.stderr, result.stderr
