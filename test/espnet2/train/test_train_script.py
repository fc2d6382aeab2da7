"""scripts/train/train.sh on two nodes, as a scheduler calls it, in; one training and one run.sh for both out."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import make_corpus

from espnet2.utils.provenance import read_starts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def recipe(tmp_path) -> Path:
    """A recipe folder with a space in its name, and the sets and labels in it."""
    folder = tmp_path / "my recipe"
    folder.mkdir()
    make_corpus(folder, max_update=4, valid_interval_updates=4)
    for name, target in (("utils", "utils"), ("scripts", "egs2/TEMPLATE/ssl1/scripts")):
        (folder / name).symlink_to(ROOT / target)
    (folder / "path.sh").symlink_to(ROOT / "egs2/TEMPLATE/ssl1/path.sh")
    return folder


def start(recipe: Path, *command: str, **environment: str) -> subprocess.Popen:
    variables = {**os.environ, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(ROOT), **environment}
    variables["PATH"] = f"{ROOT / 'utils'}:{variables['PATH']}"
    return subprocess.Popen(
        command, cwd=recipe, env=variables, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


TRAIN = (
    "scripts/train/train.sh", "--python", sys.executable, "--ngpu", "0", "--train_sets", "dump/train",
    "--valid_sets", "dump/valid", "--train_labels", "labels/train", "--valid_labels", "labels/valid",
)  # fmt: skip


def test_two_nodes_train_one_model_and_run_sh_goes_on(recipe):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = str(probe.getsockname()[1])
    environments = [{"NODE_RANK": str(rank), "MASTER_ADDR": "localhost", "MASTER_PORT": port} for rank in (0, 1)]
    first = (*TRAIN, "--num_nodes", "2", "conf.yaml", "exp/a")
    for command, what in ((first, "2 x DDP"), (("exp/a/run.sh",), "complete before")):
        nodes = [start(recipe, *command, **environment) for environment in environments]
        for node in nodes:
            _, errors = node.communicate(timeout=200)
            assert node.returncode == 0, errors
        assert what in (recipe / "exp/a/train.log").read_text()
    assert json.loads((recipe / "exp/a/train.done").read_text())["updates"] == 4
    starts = read_starts(recipe / "exp/a")  # one for each start, not for each node
    assert [start.update for start in starts] == [0, 4] and "ssl_train" in starts[0].command
    assert f"code: {starts[0].code.describe()}" in (recipe / "exp/a/train.log").read_text()
    assert {path.name for path in (recipe / "exp/a").iterdir() if "run.sh" in path.name or "job" in path.name} == {
        "run.sh", "train_job.node0.log", "train_job.node1.log",
    }  # fmt: skip


def test_a_node_that_does_not_know_its_number_is_told(recipe):
    node = start(recipe, *TRAIN, "--num_nodes", "2", "conf.yaml", "exp/a", MASTER_ADDR="localhost")
    _, errors = node.communicate(timeout=60)
    assert node.returncode != 0 and "with NODE_RANK (0 to 1) and MASTER_ADDR" in errors
    assert not (recipe / "exp/a").exists()
