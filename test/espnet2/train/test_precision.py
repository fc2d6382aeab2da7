"""bf16 on a CPU: where it is computed, that a broken run stays on its path, and what another processor does with it."""

import copy
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from same_run import assert_same
from tiny_training import command_line, make_corpus
from torch.nn import functional as F
from training_faults import claim_matrix_units
from training_process import run_training

from espnet2.ssl.modules.attention import SelfAttention
from espnet2.train import precision
from espnet2.train.manifest import MANIFEST, write_manifest
from espnet2.train.precision import Precision

CPU = torch.device("cpu")


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    paths = make_corpus(tmp_path, num_train=12, num_valid=3, dtype="bf16", max_update=8, valid_interval_updates=2)
    return command_line(paths, tmp_path, tmp_path / "exp")


def train(words: list[str], log: Path, *, units: bool) -> str:
    assert run_training(words, log=log, prepare=partial(claim_matrix_units, units)) == 0, log.read_text()
    return log.read_text()


def computed_in(experiment: Path) -> str:
    return json.loads((experiment / "checkpoints/latest/state/training.json").read_text())["precision"]


def forget_after(experiment: Path, update: int) -> None:
    """The experiment as a kill after `update` would have left it."""
    for folder in (experiment / "checkpoints").glob("update_*"):
        if int(folder.name.removeprefix("update_")) > update:
            shutil.rmtree(folder)
    (experiment / "train.done").unlink()


@pytest.mark.parametrize(
    ("dtype", "units", "name"),
    [("bf16", True, "bf16"), ("bf16", False, "fp32"), ("fp16", True, "fp32"), ("fp32", True, "fp32")],
)
def test_a_cpu_computes_in_bf16_where_it_pays(monkeypatch, dtype, units, name):
    monkeypatch.setattr(precision, "has_matrix_units", lambda: units)
    rule = Precision(dtype, CPU)
    assert rule.name == name
    with rule.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if name == "bf16" else torch.float32)


def test_a_broken_run_in_bf16_equals_an_unbroken_one(tmp_path, corpus):
    text = train(corpus, tmp_path / "log", units=True)
    assert "precision: bf16, weights in fp32" in text and computed_in(tmp_path / "exp") == "bf16"
    shutil.copytree(tmp_path / "exp", tmp_path / "unbroken", symlinks=True)
    forget_after(tmp_path / "exp", 6)
    assert "going on from update 6 of 8" in train(corpus, tmp_path / "again.log", units=True)
    assert_same(tmp_path / "exp", tmp_path / "unbroken")


def test_a_run_in_fp32_goes_on_so_on_any_processor(tmp_path, corpus):
    train(corpus, tmp_path / "log", units=False)
    shutil.copytree(tmp_path / "exp", tmp_path / "unbroken", symlinks=True)
    forget_after(tmp_path / "exp", 6)
    for checkpoint in (tmp_path / "exp/checkpoints").glob("update_*"):  # of a toolkit that knew fp32 only
        state = checkpoint / "state/training.json"
        values = json.loads(state.read_text())
        del values["precision"]
        state.write_text(json.dumps(values))
        (checkpoint / MANIFEST).unlink()
        write_manifest(checkpoint, {})
    text = train(corpus, tmp_path / "again.log", units=True)
    assert "precision: fp32" in text
    assert_same(tmp_path / "exp", tmp_path / "unbroken")


def test_a_processor_without_the_units_says_that_bits_change(tmp_path, corpus):
    train(corpus, tmp_path / "log", units=True)
    forget_after(tmp_path / "exp", 6)
    text = train(corpus, tmp_path / "again.log", units=False)
    assert "was computed in bf16, this processor goes on in fp32" in text and "precision: fp32" in text
    assert computed_in(tmp_path / "exp") == "fp32"


def test_attention_of_a_cpu_in_bf16_is_that_of_fp32():
    torch.manual_seed(0)
    layer = SelfAttention(16, 2, dropout=0.0)
    x = torch.randn(2, 9, 16)
    for mask in (None, torch.rand(2, 1, 1, 9) > 0.3, torch.randn(1, 2, 9, 9)):
        exact = copy.deepcopy(layer)
        with torch.autocast("cpu", torch.bfloat16):
            heard = layer(x, mask)
        heard.float().square().sum().backward()
        expected = exact(x, mask)
        expected.square().sum().backward()
        assert heard.dtype == torch.bfloat16
        torch.testing.assert_close(heard.float(), expected, rtol=0.05, atol=0.02)
        gradients = zip(layer.parameters(), exact.parameters(), strict=True)
        assert all(F.cosine_similarity(a.grad.flatten(), b.grad.flatten(), 0) > 0.99 for a, b in gradients)
        layer.zero_grad()
