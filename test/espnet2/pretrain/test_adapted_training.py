"""Trainings with adapters: stopped and resumed, on two ranks, averaged, and tuned by CTC."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import command_line, make_corpus
from tiny_units import write_experiment
from training_process import run_ranks, run_training

from espnet2.models.adapter import save_adapter
from espnet2.models.find import find_model
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.ssl.adapt import is_adapter, merge_adapters

ENCODER = {"dropout": 0.1, "layerdrop": 0.2}
SETTINGS = {
    "frontend": "fbank",
    "frontend_conf": {"num_mels": 20},
    "encoder_conf": ENCODER,
    "batch_bins": 24000,
    "accum_grad": 2,
    "max_update": 4,
    "valid_interval_updates": 2,
    "save_interval_updates": 1,
    "keep_nbest_models": 2,
    "adapt": "lora",
    "adapt_conf": {"rank": 2, "dropout": 0.1},
    "optim_conf": {"lr": 0.01},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("adapted")
    base = write_experiment(root / "exp/base", encoder_conf=ENCODER)
    loss = [{"name": "hubert", "conf": {"mask_span": 4, "label_dim": 8}}]
    paths = make_corpus(root, num_train=12, num_valid=2, **SETTINGS, init_from=str(base), loss=loss)
    return root, paths, base


@pytest.fixture(scope="module")
def whole(corpus):
    root, paths, _ = corpus
    assert run_training(command_line(paths, root, root / "whole"), log=root / "log") == 0, (root / "log").read_text()
    return root / "whole"


def weights(experiment: Path, checkpoint: str = "latest") -> dict[str, torch.Tensor]:
    return load_file(experiment / "checkpoints" / checkpoint / "model.safetensors")


def test_only_adapters_and_heads_learn(corpus, whole):
    _, _, base = corpus
    before, after = weights(base), weights(whole)
    encoding = [name for name in after if name.startswith(("frontend.", "encoder.")) and not is_adapter(name)]
    assert all(torch.equal(after[name], before[name]) for name in encoding) and len(encoding) > 10
    assert all(value.abs().sum() > 0 for name, value in after.items() if name.endswith("lora_up"))
    log = (whole / "train.log").read_text()
    assert "adapt: lora of rank 2 in 4 linear layers of the encoder" in log


def test_stopped_and_resumed_is_as_unbroken(corpus, whole):
    root, paths, _ = corpus
    words = [*command_line(paths, root, root / "broken"), "--scheduler_conf", "total_steps=4"]
    for updates in ("2", "4"):
        assert run_training([*words, "--max_update", updates], log=root / "broken.log") == 0
    ours, theirs = weights(root / "broken"), weights(whole)
    assert ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("fsdp", ["false", "true"])  # replicas, and shards of frozen and learning weights
def test_two_ranks_equal_one(corpus, whole, fsdp):
    root, paths, _ = corpus
    output = root / f"two_{fsdp}"
    words = [*command_line(paths, root, output), "--batch_bins", "48000", "--accum_grad", "1", "--fsdp", fsdp]
    assert run_ranks(words, 2, log=root / f"{fsdp}.log") == [0, 0], (root / f"{fsdp}.0.log").read_text()
    ours, theirs = weights(output), weights(whole)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=5e-6)


def test_an_average_is_that_of_the_merged(whole):
    best = json.loads((whole / "checkpoints/ave_2best/average.json").read_text())["updates"]
    parts = [merge_adapters(weights(whole, f"update_{update}")) for update in best]
    average = weights(whole, "ave_2best")
    assert len(best) == 2 and average.keys() == parts[0].keys()
    for name, value in average.items():
        torch.testing.assert_close(value, torch.stack([part[name] for part in parts]).mean(0))
    SpeechEncoder.from_pretrained(whole, checkpoint="ave_2best")


def test_the_adapters_of_a_run_are_small_and_give_its_layers(corpus, whole, tmp_path, monkeypatch):
    _, _, base = corpus
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))
    save_adapter(find_model(whole), tmp_path / "lora.safetensors")
    wavs = 0.1 * torch.randn(1, 8000)
    ours = SpeechEncoder.from_pretrained(f"{tmp_path}/lora.safetensors@{base}")(wavs).layers
    theirs = SpeechEncoder.from_pretrained(whole)(wavs).layers
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_an_adapted_model_is_a_start_like_any_other(corpus, whole):
    """Whole, with its adapters merged; new ones begin at zero."""
    from espnet2.pretrain.initial import load_whole
    from espnet2.tasks.build import build
    from espnet2.tasks.config import load_config

    model = build(load_config(whole / "config.yaml"))
    load_whole(model, find_model(whole))
    merged, state = merge_adapters(weights(whole)), model.state_dict()
    encoding = [name for name in merged if name.startswith("encoder.")]
    assert all(torch.equal(state[name], merged[name]) for name in encoding)
    assert not any(state[name].any() for name in state if name.endswith("lora_up"))


def test_adapters_of_nothing_are_refused(corpus, tmp_path):
    root, paths, _ = corpus
    words = [*command_line(paths, root, tmp_path / "exp"), "--init_from", "null"]
    assert run_training(words, log=tmp_path / "log") == 2
    assert "adapt: lora: adapters are differences to a trained model" in (tmp_path / "log").read_text()
    assert not (tmp_path / "exp/checkpoints").exists()
