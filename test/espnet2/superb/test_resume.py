"""A stopped run and a full cache in; the bits of a run that was not stopped and had room, out."""

import json
import re
from pathlib import Path

import pytest
import torch
from superb_corpora import fluent_speech_commands
from tiny_units import run_program, write_experiment

from espnet2.superb import fit

RULES = ["ic.updates=8", "ic.eval_every=3", "ic.batch_size=8", "ic.accumulate=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("superb")
    run_program("ssl_superb_data", "--corpus", "fluent_speech_commands", fluent_speech_commands(root), root / "data")
    return root / "data"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("model") / "tiny")


def run(data: Path, output: Path, model: Path, *words: str) -> None:
    run_program("ssl_superb", "--data", data, "--output", output, *words, "--options", *RULES, "--", model)


@pytest.fixture(scope="module")
def whole(data, model, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole")
    run(data, output, model)
    return output


def result_of(output: Path) -> dict:
    return json.loads((output / "tiny/ic.json").read_text())


def heads_of(output: Path) -> dict[str, torch.Tensor]:
    (file,) = (output / "tiny/.work").rglob("rate_*.pt")
    return torch.load(file, weights_only=True)


def assert_same(output: Path, whole: Path) -> None:
    ours, theirs = result_of(output), result_of(whole)
    assert (ours["figures"], ours["details"]) == (theirs["figures"], theirs["details"])
    weights = heads_of(whole)
    assert weights and all(torch.equal(value, weights[name]) for name, value in heads_of(output).items())


def test_a_stopped_training_goes_on_to_the_same_bits(data, model, whole, tmp_path, monkeypatch):
    save, restore, restored = fit._save, fit.Trainer._restore, []

    def save_and_stop(path: Path, state: dict) -> None:
        save(path, state)
        if state["update"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fit, "SAVE_SECONDS", 0.0)
        patched.setattr(fit, "_save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path, model)
    assert not (tmp_path / "tiny/ic.json").exists()
    monkeypatch.setattr(
        fit.Trainer, "_restore", lambda trainer, state: (restored.append(state["update"]), restore(trainer, state))
    )
    run(data, tmp_path, model)
    assert restored == [5]
    assert_same(tmp_path, whole)


def test_a_budget_that_is_used_up_costs_time_and_no_figure(data, model, whole, tmp_path, capsys):
    run(data, tmp_path, model, "--cache_gb", "1e-6")  # one kilobyte: not one utterance
    assert re.search(r"cache is full: \d+ encodings were not kept", capsys.readouterr().err)
    kept = list((tmp_path / "cache").rglob("*.npy"))
    assert 0 < sum(path.stat().st_size for path in kept) <= 1000
    assert len(kept) < len(list((whole / "cache").rglob("*.npy")))
    assert_same(tmp_path, whole)
