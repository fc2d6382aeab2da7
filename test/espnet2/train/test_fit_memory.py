"""Devices of some size in; the division that fits out: forecast, tried, agreed on by all ranks, kept on resuming."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from limited_memory import LimitedMemory, limit_memory
from safetensors.torch import load_file
from tiny_training import command_line, make_corpus
from training_process import run_ranks, run_training

from espnet2.pretrain.inputs import make_data, open_inputs
from espnet2.tasks.build import build, with_num_classes
from espnet2.tasks.config import load_config
from espnet2.train import fit_memory
from espnet2.train.data import divided, plan_steps
from espnet2.train.distributed import SINGLE
from espnet2.utils.errors import UserError

AUTO = {"max_bins_per_gpu": "auto", "batch_bins": 240_000, "max_update": 4, "valid_interval_updates": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("fit_memory")
    return root, make_corpus(root, **AUTO)


@pytest.fixture
def prepared(corpus):
    root, paths = corpus
    config = load_config(root / "conf.yaml")
    inputs = open_inputs(config, paths)
    config = with_num_classes(config, inputs.num_classes, inputs.num_codebooks)
    model = build(config)
    return model, config, make_data(config, inputs, model, divided(config, 1, 1))


@pytest.fixture(autouse=True)
def whole_module(monkeypatch):
    """What a test puts in place does not stay."""
    monkeypatch.setattr(fit_memory, "attempt", fit_memory.attempt)
    monkeypatch.setattr(fit_memory, "device_bytes", fit_memory.device_bytes)


def peak_of_line(prepared, num_clips: int) -> float:
    line = fit_memory.forecast(*prepared)
    return line.peak(num_clips * line.clip_seconds)


def test_the_forecast_is_about_what_the_trial_takes(prepared):
    model, config, data = prepared
    with LimitedMemory(1 << 40) as memory:
        fit_memory.attempt(model, config, torch.device("cpu"), fit_memory.longest_batch(data, 8))
    assert peak_of_line(prepared, 8) == pytest.approx(memory.peak, rel=0.35)  # a CPU's kernels are not CUDA's


def test_the_trial_leaves_no_trace(prepared):
    model, config, data = prepared
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    limit_memory(1 << 40)
    fit_memory.fit_memory(model, config, data, SINGLE)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_whole_batch_where_it_fits(prepared):
    rows = limit_memory(1 << 40)
    fitted = fit_memory.fit_memory(*prepared, SINGLE)
    assert fitted.steps == (240_000, 1, 1) and rows == [10]
    assert "240000 samples (15.0 s); the forecast is" in fitted.line and "number 1 was tried" in fitted.line


def test_out_of_memory_is_caught_and_smaller_parts_are_tried(prepared):
    """The device says that it has plenty, so that the forecast begins with all clips at once."""
    limit = round(1.1 * peak_of_line(prepared, 4))
    rows = limit_memory(limit, seen=1 << 40)
    fitted = fit_memory.fit_memory(*prepared, SINGLE)
    assert len(rows) > 1 and rows == sorted(set(rows), reverse=True)
    assert fitted.steps.accumulation > 1 and f"number {len(rows)} was tried" in fitted.line
    assert 240_000 // fitted.steps.accumulation == fitted.steps.shard_samples


def test_the_forecast_begins_where_it_should_fit(prepared):
    limit = round(1.01 * peak_of_line(prepared, 5) / 0.85)
    rows = limit_memory(1 << 40, seen=limit)
    fit_memory.fit_memory(*prepared, SINGLE)
    assert rows[0] == 5  # of 10


def test_a_device_too_small_for_one_utterance_is_said(prepared):
    rows = limit_memory(10_000)
    with pytest.raises(UserError, match=r"one utterance of 1\.5 s does not fit .* recompute_blocks"):
        fit_memory.fit_memory(*prepared, SINGLE)
    assert rows[-1] == 1


def test_other_errors_are_no_lack_of_memory(prepared, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(fit_memory, "attempt", broken)
    monkeypatch.setattr(fit_memory, "device_bytes", lambda device: 1 << 40)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        fit_memory.fit_memory(*prepared, SINGLE)


def test_a_cpu_has_no_bound(prepared):
    fitted = fit_memory.fit_memory(*prepared, SINGLE)
    assert fitted.steps == (240_000, 1, 1) and "no bound" in fitted.line


def test_other_programs_ask_for_a_number(prepared):
    with pytest.raises(UserError, match="auto is for ssl_train alone"):
        plan_steps(prepared[1], 1)


def micro_batches(experiment: Path) -> int:
    checkpoint = experiment / "checkpoints/latest"
    return json.loads((checkpoint / "state/training.json").read_text())["identity"]["division"]["micro_batches"]


def test_a_resumed_run_keeps_its_division_on_another_device(corpus):
    """Bit for bit, though the device has room for all of the batch when it goes on."""
    root, paths = corpus
    small, large = partial(limit_memory, 4_000_000, seen=1 << 40), partial(limit_memory, 1 << 40)
    words = [*command_line(paths, root, root / "whole")]
    assert run_training(words, log=root / "whole.log", prepare=small) == 0, (root / "whole.log").read_text()[-2000:]
    assert micro_batches(root / "whole") > 1
    words = [*command_line(paths, root, root / "parts")]
    first = [*words, "--max_update", "2", "--scheduler_conf", "total_steps=4"]
    assert run_training(first, log=root / "first.log", prepare=small) == 0
    second = [*words, "--scheduler_conf", "total_steps=4"]
    assert run_training(second, log=root / "second.log", prepare=large) == 0
    assert "as in the checkpoints of this run" in (root / "parts/train.log").read_text()
    ours, theirs = (load_file(root / name / "checkpoints/latest/model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_ranks_take_what_fits_all_of_them(corpus):
    root, paths = corpus
    words = [*command_line(paths, root, root / "ranks"), "--batch_bins", "480000"]
    uneven = partial(limit_memory, 1 << 40, 4_000_000, seen=1 << 40)
    assert run_ranks(words, 2, log=root / "ranks", prepare=uneven) == [0, 0], (root / "ranks.0.log").read_text()[-2000:]
    assert micro_batches(root / "ranks") > 2
    again = [*words, "--batch_bins", "480000", "--max_update", "6"]
    assert run_training(again, log=root / "one.log", prepare=uneven) == 0, (root / "one.log").read_text()[-2000:]


def test_a_division_that_cannot_be_kept_is_refused(corpus):
    root, paths = corpus
    words = [*command_line(paths, root, root / "refused")]
    assert run_training([*words, "--max_update", "2"], log=root / "refused.log") == 0
    changed = [*words, "--batch_bins", "100000"]
    assert run_training(changed, log=root / "refused2.log") == 2
    assert "divide an update into 1 micro-batches of 240000 samples" in (root / "refused2.log").read_text()
