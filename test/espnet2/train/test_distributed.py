"""Two gloo processes in, the training of one process with the same global batch out: replicated and sharded."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import command_line, make_corpus
from training_faults import poison
from training_process import run_ranks, run_training

from espnet2.train.config import TrainConfig
from espnet2.train.data import plan_steps
from espnet2.train.distributed import process_group
from espnet2.utils.errors import UserError

# Three batches of validation for two ranks: one of them has nothing left in the second round.
SETTINGS = {"max_update": 8, "valid_interval_updates": 4, "save_interval_updates": 2, "valid_batch_bins": 60000}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("distributed")
    return root, make_corpus(root, **SETTINGS)


@pytest.fixture(scope="module")
def single(corpus):
    """One process, two micro-batches of 24,000 samples per update. Dropout and layerdrop are on."""
    root, paths = corpus
    words = [*command_line(paths, root, root / "single"), "--batch_bins", "24000", "--accum_grad", "2"]
    assert run_training(words, log=root / "single.log") == 0
    return root / "single"


def losses(experiment: Path) -> list[float]:
    """Of all intervals and validations, in their order."""
    return [json.loads(line)["loss"] for line in (experiment / "history.jsonl").read_text().splitlines()]


def weights(experiment: Path) -> dict[str, torch.Tensor]:
    return load_file(experiment / "checkpoints/latest/model.safetensors")


def assert_close(first: Path, second: Path) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, theirs[name], rtol=1e-4, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_ranks_equal_one_rank(corpus, single, mode):
    """Same data, same draws, same dropout: both ranks take one micro-batch where one process takes two."""
    root, paths = corpus
    words = [*command_line(paths, root, root / mode), "--batch_bins", "48000", "--accum_grad", "1"]
    words += ["--fsdp", "true"] if mode == "fsdp" else []
    assert run_ranks(words, 2, log=root / mode) == [0, 0], (root / f"{mode}.0.log").read_text()[-3000:]
    assert_close(root / mode, single)
    assert len(losses(single)) == 6  # four lines of the log, two validations
    assert losses(root / mode) == pytest.approx(losses(single), rel=1e-5)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_ranks_go_on_after_a_break(corpus, single, mode):
    """The first part ends after four updates; a changed number of ranks may go on with it."""
    root, paths = corpus
    output = root / f"{mode}_resumed"
    words = [*command_line(paths, root, output), "--batch_bins", "48000", "--fsdp", str(mode == "fsdp").lower()]
    schedule = ["--scheduler_conf", "total_steps=8"]
    assert run_ranks([*words, "--max_update", "4", *schedule], 2, log=root / f"{mode}_first") == [0, 0]
    one = [*command_line(paths, root, output), "--batch_bins", "24000", "--accum_grad", "2", *schedule]
    if mode == "ddp":
        assert run_training(one, log=root / "then_one.log") == 0, (root / "then_one.log").read_text()[-2000:]
    else:
        assert run_ranks([*words, *schedule], 2, log=root / f"{mode}_second") == [0, 0]
    assert_close(output, single)


def test_skipped_and_saved_right_after_a_break(corpus):
    """Ranks bring the same figures to the sums in a checkpoint, also before their first finite update."""
    root, paths = corpus
    output = root / "skipped"
    words = [*command_line(paths, root, output), "--valid_interval_updates", "50", "--save_interval_updates", "1"]
    bad = partial(poison, (6,))  # the first of the fourth update
    assert run_ranks([*words, "--max_nonfinite", "1"], 2, log=root / "skipped_first", prepare=bad) == [2, 2]
    assert run_ranks(words, 2, log=root / "skipped_second", prepare=bad) == [0, 0]
    state = json.loads((output / "checkpoints/latest/state/training.json").read_text())["state"]
    assert (state["update"], state["skipped"], state["cursor"]["number"]) == (8, 1, 18)


def test_batch_is_divided_over_ranks_and_memory():
    config = TrainConfig(batch_bins=1000, accum_grad=2, max_bins_per_gpu=150)
    assert plan_steps(config, 2) == (125, 8, 16)  # 500 per rank in 4 parts of 125, each twice
    assert plan_steps(TrainConfig(batch_bins=1000), 2) == (500, 1, 2)


def test_missing_gpu_names_the_way_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="--ngpu 0"), process_group(1):
        pass
