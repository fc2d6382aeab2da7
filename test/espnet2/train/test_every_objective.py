"""Every file in objective/ in: killed and resumed, on two ranks and around a skipped update, the same training out."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_model import TEACHER, tiny_config, tiny_model
from tiny_training import command_line, make_corpus, write_config
from tiny_units import write_experiment
from training_faults import poison, poison_and_signal
from training_process import run_ranks, run_training, start_training

from espnet2.ssl.objective import objective_class, objective_names
from espnet2.utils.errors import UserError

TOGETHER = "hubert+dinosr"  # two entries of one loss list
METHODS = [*objective_names(), TOGETHER]
SHARDED = [name for name in METHODS if name == TOGETHER or objective_class(name).target_moves]
SETTINGS = {"max_update": 4, "valid_interval_updates": 4, "save_interval_updates": 1, "log_interval_updates": 2}
BATCHES = {"batch_bins": 24000, "accum_grad": 2}  # of one process; two ranks take one micro-batch each
POISONED = 4  # micro-batch of the third update, which is skipped
KILL = partial(poison_and_signal, (POISONED,), 30)  # at an event after a checkpoint, before the end


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("every_objective")
    return root, make_corpus(root, num_train=16, num_valid=2)


def write_method(root: Path, method: str) -> None:
    """<method>.yaml with the tiny model of the contract tests, dropout, and layerdrop where the method allows it."""
    entries = method.split("+")
    dropping = {"dropout": 0.1, "layerdrop": 0.2 if all(may_drop(name) for name in entries) else 0.0}
    configs = [tiny_config(name, encoder_conf=dropping).model_dump(mode="json") for name in entries]
    loss = [entry for config in configs for entry in config["loss"]]
    for entry in loss:
        entry["conf"].pop("num_classes", None)
        if "teacher" in entry["conf"]:
            teacher = write_experiment(root / "teacher", frontend=configs[0]["frontend"], encoder_conf=TEACHER)
            entry["conf"]["teacher"] = str(teacher)
    keys = ("frontend", "frontend_conf", "encoder", "encoder_conf")
    write_config(root, method, **SETTINGS, **BATCHES, **{key: configs[0][key] for key in keys}, loss=loss)


def may_drop(name: str) -> bool:
    """Whether the method allows layerdrop."""
    try:
        tiny_model(name, encoder_conf={"layerdrop": 0.2})
    except UserError:
        return False
    return True


@pytest.fixture(scope="module")
def single(corpus):
    """Method -> the folder of an unbroken run of one process with a skipped update; each is made once.

    Beside it, as there are two cores, runs the one that is killed.
    """
    root, paths = corpus
    made: dict[str, Path] = {}

    def make(method: str) -> Path:
        if method not in made:
            write_method(root, method)
            output, log = root / method / "single", root / f"{method}.log"
            processes = [
                start_training(command_line(paths, root, folder, method), log=each_log, prepare=prepare)
                for folder, each_log, prepare in (
                    (output, log, partial(poison, (POISONED,))),
                    (root / method / "killed", root / f"{method}.killed.log", KILL),
                )
            ]
            for process in processes:
                process.join(120)
            assert processes[0].exitcode == 0, log.read_text()[-3000:]
            assert processes[1].exitcode == -signal.SIGKILL, "the run ended before the kill"
            made[method] = output
        return made[method]

    return make


def last_state(experiment: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Weights (teachers and codebooks among them), and what the loop counts."""
    folder = experiment / "checkpoints/latest"
    training = json.loads((folder / "state/training.json").read_text())
    training["state"].pop("train_seconds")
    return load_file(folder / "model.safetensors"), training


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_is_as_unbroken(corpus, single, method):
    """Bit for bit, with optimizer, teacher and codebooks."""
    root, paths = corpus
    expected = single(method)
    output, log = root / method / "killed", root / f"{method}.killed.log"
    words = command_line(paths, root, output, method)
    assert (output / "checkpoints/latest").exists() and not (output / "train.done").exists()
    assert run_training(words, log=log, prepare=partial(poison, (POISONED,))) == 0, log.read_text()[-3000:]
    (ours, training), (theirs, expected_training) = last_state(output), last_state(expected)
    assert training == expected_training
    assert training["state"]["skipped"] == 1 and training["state"]["update"] == SETTINGS["max_update"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    first, second = (torch.load(folder / "checkpoints/latest/state/optimizer.pt") for folder in (output, expected))
    for number, state in first["optimizer"]["state"].items():
        assert all(torch.equal(value, second["optimizer"]["state"][number][key]) for key, value in state.items())


@pytest.mark.parametrize(
    ("method", "mode"), [*((name, "ddp") for name in METHODS), *((name, "fsdp") for name in SHARDED)]
)
def test_two_ranks_equal_one_rank(corpus, single, method, mode):
    """The micro-batches that one process takes one after the other: same counts, same codebooks, same teacher."""
    root, paths = corpus
    expected = single(method)
    output, log = root / method / mode, root / f"{method}.{mode}"
    words = [*command_line(paths, root, output, method), "--batch_bins", "48000", "--accum_grad", "1"]
    words += ["--fsdp", "true"] if mode == "fsdp" else []
    assert run_ranks(words, 2, log=log, prepare=partial(poison, (POISONED,))) == [0, 0], log.with_suffix(
        ".0.log"
    ).read_text()[-3000:]
    (ours, training), (theirs, expected_training) = last_state(output), last_state(expected)
    assert training["state"]["skipped"] == expected_training["state"]["skipped"] == 1
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=5e-6, msg=lambda text, name=name: name + text)
