"""Trainings over several nodes in through real schedulers and ssh, disturbed; weights of an undisturbed run out."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clusters import Cluster, finish, wait_until
from recipe_folders import KMEANS, MODELS, link_recipe, run
from repository import ROOT
from tiny_training import command_line, make_corpus
from training_process import run_ranks

from espnet2.pretrain.inputs import DataPaths

pytestmark = pytest.mark.cluster
LONG = {"max_update": 400, "valid_interval_updates": 200, "log_interval_updates": 5, "save_interval_updates": 5}
TRAIN = (
    "scripts/train/train.sh", "--python", sys.executable, "--ngpu", "0", "--train_sets", "dump/train",
    "--valid_sets", "dump/valid", "--train_labels", "labels/train", "--valid_labels", "labels/valid",
)  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """A recipe folder with the tiny corpus, and exp/undisturbed: trained by two processes without a queue."""
    folder = tmp_path_factory.mktemp("cluster") / "recipe"
    folder.mkdir()
    paths = make_corpus(folder, **LONG)
    for name, target in (("utils", "utils"), ("scripts", "egs2/TEMPLATE/ssl1/scripts")):
        (folder / name).symlink_to(ROOT / target)
    (folder / "path.sh").symlink_to(ROOT / "egs2/TEMPLATE/ssl1/path.sh")
    words = command_line(paths, folder, folder / "exp/undisturbed")
    assert run_ranks(words, 2, log=folder / "undisturbed") == [0, 0], (folder / "undisturbed.0.log").read_text()
    return folder


def start(recipe: Path, cluster: Cluster, experiment: str, *options: str, **variables: str) -> subprocess.Popen:
    """scripts/train/train.sh, which submits the training and waits for it."""
    environment = {**cluster.environment, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(ROOT), **variables}
    environment["PATH"] = f"{ROOT / 'utils'}:{environment['PATH']}"
    command = [*TRAIN, *options, "conf.yaml", f"exp/{experiment}"]
    return subprocess.Popen(command, cwd=recipe, env=environment, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def succeed(recipe: Path, process: subprocess.Popen, experiment: str) -> str:
    """Wait for it; what it printed."""
    result = finish(process, 240)
    log = recipe / "exp" / experiment / "train_job.log"
    said = log.read_text()[-4000:] if log.exists() else "no log"
    assert result.returncode == 0, result.stdout + result.stderr + said
    return result.stdout + result.stderr


def log_of(recipe: Path, experiment: str) -> str:
    path = recipe / "exp" / experiment / "train.log"
    return path.read_text() if path.exists() else ""


def weights(recipe: Path, experiment: str) -> bytes:
    return (recipe / "exp" / experiment / "checkpoints/latest/model.safetensors").read_bytes()


def saved_updates(recipe: Path, experiment: str) -> list[int]:
    folders = (recipe / "exp" / experiment / "checkpoints").glob("update_*")
    return sorted(int(path.name.removeprefix("update_")) for path in folders)


def wait_for_update(recipe: Path, experiment: str, update: int) -> None:
    wait_until(lambda: max(saved_updates(recipe, experiment), default=0) >= update, 120, f"update {update}")


def processes_of(experiment: str, module: str, **variables: str) -> list[int]:
    """The processes here that run a module of ours for an experiment, with such variables in their environment."""
    process_ids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text(errors="replace").split("\0")
            environment = (folder / "environ").read_text(errors="replace").split("\0")
        except OSError:
            continue  # it has ended, or is the system's
        has_variables = all(f"{name}={value}" in environment for name, value in variables.items())
        if has_variables and module in command[2:4] and f"exp/{experiment}" in command:  # python [-u] -m module
            process_ids.append(int(folder.name))
    return process_ids


def test_two_nodes_of_slurm_are_stopped_twice_and_go_on_to_the_same_weights(recipe, slurm_netns, tmp_path):
    """First by the signal that comes before a time limit, then by a job of a higher partition."""
    training = start(recipe, slurm_netns, "preempted", "--cmd", "slurm.pl", "--num_nodes", "2")
    wait_for_update(recipe, "preempted", 20)
    (job,) = slurm_netns.call("squeue", "-h", "-o", "%A").split()
    slurm_netns.call("scancel", "--batch", "--signal=USR1", job)
    wait_until(lambda: "SIGUSR1: saved at update" in log_of(recipe, "preempted"), 30, "a checkpoint after SIGUSR1")
    stopped_at = max(saved_updates(recipe, "preempted"))
    wait_for_update(recipe, "preempted", stopped_at + 20)
    urgent = slurm_netns.start(tmp_path, "--partition", "high", "--num-nodes", 2, "--num-threads", 4, "urgent.log",
                               "sleep", "1")  # fmt: skip
    assert finish(urgent, 120).returncode == 0
    assert not (recipe / "exp/preempted/train.done").exists()
    succeed(recipe, training, "preempted")
    text = log_of(recipe, "preempted")
    assert "2 ranks on 2 host(s), all-reduce of 4 MB" in text
    assert f"going on from update {stopped_at} of 400" in text and text.count("going on from update") == 2
    assert json.loads((recipe / "exp/preempted/restarts.json").read_text())["restarts_without_progress"] == 0
    assert json.loads((recipe / "exp/preempted/heartbeat").read_text())["host"] == "node1"
    assert weights(recipe, "preempted") == weights(recipe, "undisturbed")


def test_grid_engine_runs_a_training_again_that_exits_with_99(recipe, grid_engine):
    """Two processes on one host."""
    training = start(recipe, grid_engine, "rerun", "--cmd", "queue.pl", "--num_procs_per_node", "2")
    wait_for_update(recipe, "rerun", 20)
    (launch,) = processes_of("rerun", "espnet2.bin.launch")
    os.kill(launch, signal.SIGUSR1)
    succeed(recipe, training, "rerun")
    text = log_of(recipe, "rerun")
    assert "2 ranks on 1 host(s)" in text and "SIGUSR1: saved at update" in text and "going on from update" in text
    assert weights(recipe, "rerun") == weights(recipe, "undisturbed")


def test_a_host_of_ssh_dies_and_run_sh_goes_on(recipe, sshd):
    hosts = "127.0.0.1:4,127.0.0.2:4"
    training = start(recipe, sshd, "dead_host", "--cmd", f"ssh.pl --host {hosts}", "--num_nodes", "2")
    wait_for_update(recipe, "dead_host", 20)
    victims = [
        process
        for module in ("espnet2.bin.launch", "espnet2.bin.ssl_train")
        for process in processes_of("dead_host", module, CLUSTER_NODE_RANK="1")
    ]
    assert len(victims) == 2
    for process in victims:
        os.kill(process, signal.SIGKILL)
    result = finish(training, 200)
    assert result.returncode == 1
    job_log = (recipe / "exp/dead_host/train_job.log").read_text()
    assert "launch: node 1 (127.0.0.2) gives no sign of life" in job_log, job_log[-3000:]
    assert "the connection to another rank is lost" in job_log and "Traceback" not in job_log
    assert not processes_of("dead_host", "espnet2.bin.ssl_train")
    environment = {**sshd.environment, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(ROOT)}
    again = subprocess.run([recipe / "exp/dead_host/run.sh"], env=environment, cwd="/", stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=240, check=False)  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "going on from update" in log_of(recipe, "dead_host")
    assert weights(recipe, "dead_host") == weights(recipe, "undisturbed")


def launch_over_ssh(recipe: Path, sshd: Cluster, experiment: str) -> subprocess.Popen:
    """espnet2.bin.launch by hand, without a back end."""
    paths = DataPaths(["dump/train"], ["dump/valid"], ["labels/train"], ["labels/valid"])
    words = command_line(paths, Path(), Path("exp") / experiment)
    command = [sys.executable, "-m", "espnet2.bin.launch", "--host", "127.0.0.1,127.0.0.2", "-m"]
    return subprocess.Popen([*command, "espnet2.bin.ssl_train", *words], cwd=recipe, text=True, stderr=subprocess.PIPE,
                            env={**sshd.environment, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)  # fmt: skip


def test_launch_by_ssh_saves_on_a_signal_and_ends_what_it_started(recipe, sshd):
    for number, status in ((signal.SIGTERM, 99), (signal.SIGKILL, -9)):
        training = launch_over_ssh(recipe, sshd, "by_ssh")
        before = max(saved_updates(recipe, "by_ssh"), default=0)
        wait_for_update(recipe, "by_ssh", before + 20)
        training.send_signal(number)
        _, errors = training.communicate(timeout=60)
        assert training.returncode == status, errors
        wait_until(lambda: not processes_of("by_ssh", "espnet2.bin.ssl_train"), 30, "an end of all processes")
    assert "SIGTERM: saved at update" in log_of(recipe, "by_ssh")
    training = launch_over_ssh(recipe, sshd, "by_ssh")
    assert finish(training, 200).returncode == 0
    assert weights(recipe, "by_ssh") == weights(recipe, "undisturbed")


def test_the_smoke_recipe_runs_on_two_nodes_of_slurm(slurm_netns, tmp_path):
    """From stage 1 to the end, with nothing set but the back end and the number of nodes."""
    folder = link_recipe("mini_espeak", tmp_path / "smoke recipe")
    variables = {**slurm_netns.environment, "cmd_backend": "slurm"}
    result = run(folder / "hubert1", "./smoke.sh", "--num_nodes", "2", timeout=290, **variables)
    assert result.returncode == 0, result.stdout[-5000:]
    for kmeans, model in zip(KMEANS, MODELS, strict=True):
        assert (folder / "hubert1/exp/smoke/kmeans" / kmeans / "card.json").exists()
        experiment = folder / "hubert1/exp/smoke" / model
        assert json.loads((experiment / "train.done").read_text())["updates"] == 20
        assert "2 ranks on 2 host(s)" in (experiment / "train.log").read_text()
