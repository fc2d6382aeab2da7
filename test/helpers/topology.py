"""A number of nodes, of processes on each, of micro-batches of each in; one training of the same updates out."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import TINY_CONFIG, command_line, write_config
from training_process import run_ranks, run_training

from espnet2.pretrain.inputs import DataPaths

ROOT = Path(__file__).resolve().parents[2]
SHARD_SAMPLES = 24000  # of one micro-batch of one rank
LOSSES = {
    "hubert": TINY_CONFIG["loss"],
    "dinosr": [{"name": "dinosr", "conf": {"num_codebooks": 2, "num_codes": 11, "mask_span": 4}}],
}
NO_CHANCE = {**TINY_CONFIG["encoder_conf"], "dropout": 0.0, "layerdrop": 0.0}


def write_topology_config(root: Path, objective: str, **config: object) -> None:
    """<objective>.yaml: without dropout and layerdrop."""
    loss = {"loss": LOSSES[objective], "encoder_conf": NO_CHANCE}
    write_config(root, objective, **{**loss, "valid_batch_bins": 60000, **config})


def words(paths: DataPaths, root: Path, objective: str, output: Path, ranks: int, accumulation: int) -> list[str]:
    """The arguments of ssl_train for so many ranks that take so many micro-batches each."""
    bins = ["--batch_bins", str(ranks * SHARD_SAMPLES), "--accum_grad", str(accumulation)]
    return [*command_line(paths, root, output, objective), *bins]


def train(arguments: list[str], ranks: int, log: Path) -> None:
    """Run on one node, to the end."""
    first = log.with_suffix(".0.log")
    if ranks == 1:
        assert run_training(arguments, log=first) == 0, first.read_text()[-3000:]
    else:
        assert run_ranks(arguments, ranks, log=log) == [0] * ranks, first.read_text()[-3000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def launch_nodes(arguments: list[str], nodes: int, processes: int, folder: Path) -> None:
    """Run espnet2.bin.launch once for each node, as a queue's job does, all on this machine."""
    folder.mkdir(parents=True)
    shared = {**os.environ, "CLUSTER_HOSTS": " ".join(["localhost"] * nodes), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "espnet2.bin.launch", "--nnodes", str(nodes), "--nproc_per_node", str(processes)]
    command += ["--master_port", str(free_port()), "-m", "espnet2.bin.ssl_train", *arguments]
    started = []
    for rank in range(nodes):
        with open(folder / f"node{rank}.log", "w", encoding="utf-8") as log:
            environment = {**shared, "CLUSTER_NODE_RANK": str(rank)}
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    for rank, process in enumerate(started):
        assert process.wait(timeout=200) == 0, (folder / f"node{rank}.log").read_text()[-3000:]


def weights(experiment: Path) -> dict[str, torch.Tensor]:
    return load_file(experiment / "checkpoints/latest/model.safetensors")


def losses(experiment: Path, dataset: str = "") -> list[float]:
    """Of all intervals and validations, in their order, or of one kind."""
    lines = map(json.loads, (experiment / "history.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if dataset in ("", line["dataset"])]


def assert_same_training(first: Path, second: Path) -> None:
    """The same weights and figures, to rounding."""
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, theirs[name], rtol=1e-4, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert losses(first) == pytest.approx(losses(second), rel=1e-5)
