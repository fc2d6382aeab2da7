"""Processes started together in, the exit status that a queue or a user needs out."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from topology import free_port

ROOT = Path(__file__).resolve().parents[3]


def start(folder: Path, how: str, *options: str, **variables: str) -> subprocess.Popen:
    """Two processes of test/helpers/launched.py, on one node unless the options say otherwise."""
    options = options or ("--standalone", "--nproc_per_node", "2")
    words = ["-m", "espnet2.bin.launch", *options, "-m", "launched", how, str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'test/helpers'}", "OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen([sys.executable, *words], env=environment, stderr=subprocess.PIPE, text=True)


def start_nodes(folder: Path, how: str, *options: str) -> list[subprocess.Popen]:
    """One process on each of two nodes, both here."""
    options = ("--nnodes", "2", "--master_port", str(free_port()), *options)
    hosts = {"CLUSTER_HOSTS": "localhost localhost"}
    return [start(folder, how, *options, CLUSTER_NODE_RANK=str(rank), **hosts) for rank in (0, 1)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_of_the_queue_reaches_all_processes_and_asks_to_be_started_again(tmp_path, number):
    process = start(tmp_path, "stop")
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("running*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(3):  # Slurm sends it to every process of a step, and srun forwards it
        process.send_signal(number)
        time.sleep(0.1)
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


@pytest.mark.cluster
def test_what_fails_on_one_node_ends_the_other_and_both_start_again(tmp_path):
    """The process of node 1 is killed; the other would wait for ever."""
    nodes = start_nodes(tmp_path, "kill", "--max_restarts", "1")
    errors = [node.communicate(timeout=120)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [137, 137], errors
    assert errors[0].count("node 1 (localhost) ended with status 137; ending the processes of localhost") == 2
    assert errors[1].count("process 1 was ended by SIGKILL") == 2
    assert all(text.count("status 137; starting again (1 restarts left)") == 1 for text in errors)
    assert "Traceback" not in errors[0] + errors[1]


def test_a_node_that_does_not_come_is_named_and_so_is_one_that_cannot_be_reached(tmp_path):
    port = str(free_port())
    options = ("--nnodes", "2", "--wait_seconds", "2")
    first = start(tmp_path, "0", *options, "--master_port", port, CLUSTER_HOSTS="localhost h2", CLUSTER_NODE_RANK="0")
    second = start(tmp_path, "0", *options, "--master_port", "9", CLUSTER_HOSTS="localhost h2", CLUSTER_NODE_RANK="1")
    errors = [process.communicate(timeout=120)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (2, 2), errors
    assert "node 1 (h2) did not come within 2 s; 1 of 2 nodes are here" in errors[0]
    assert "node 1 (h2) cannot reach node 0 at localhost:9 within 2 s" in errors[1]
    assert not list(tmp_path.iterdir())


def test_without_a_list_of_hosts_it_says_where_one_comes_from(tmp_path):
    names = ("CLUSTER_HOSTS", "NODE_RANK", "SLURM_JOB_NODELIST", "PE_HOSTFILE", "PBS_NODEFILE", "LSB_MCPU_HOSTS")
    process = start(tmp_path, "0", "--nnodes", "2", **dict.fromkeys(names, ""))
    assert "--host h1:4,h2:4 (by ssh)" in process.communicate(timeout=60)[1] and process.returncode == 2
