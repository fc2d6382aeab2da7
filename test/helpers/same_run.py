"""Whether two trainings ended with the same bits: weights, optimizer, all that is counted."""

import json
from pathlib import Path

import torch


def final_state(experiment: Path) -> tuple[bytes, dict, dict]:
    """Weights, optimizer and scaler state, and everything the loop counts but the wall time."""
    folder = experiment / "checkpoints/latest"
    training = json.loads((folder / "state/training.json").read_text())
    training["state"].pop("train_seconds")
    return (folder / "model.safetensors").read_bytes(), torch.load(folder / "state/optimizer.pt"), training


def assert_same(first: Path, second: Path) -> None:
    ours, theirs = final_state(first), final_state(second)
    assert ours[2] == theirs[2]
    assert ours[0] == theirs[0]
    assert str(ours[1]["scaler"]) == str(theirs[1]["scaler"])
    ours, theirs = ours[1]["optimizer"], theirs[1]["optimizer"]
    assert ours["param_groups"] == theirs["param_groups"]
    for number, state in ours["state"].items():
        assert all(torch.equal(value, theirs["state"][number][key]) for key, value in state.items())
