"""Flags read one update late in; the training of flags read at once, bit for bit, out: skips, stops, saves, ranks."""

import json
import signal
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from same_run import assert_same
from tiny_model import noise_batch, tiny_config
from tiny_training import command_line, make_corpus
from training_faults import poison, poison_and_signal
from training_process import run_ranks, run_training

from espnet2.data.dataset import Loaded
from espnet2.launch.signals import REQUEUE_EXIT_CODE
from espnet2.tasks.build import build
from espnet2.train.distributed import SINGLE
from espnet2.train.flags import SharedFlags, reads_late
from espnet2.train.updater import Updater, prepare

RUN = {"max_update": 16, "log_interval_updates": 4, "valid_interval_updates": 8, "accum_grad": 2, "batch_bins": 24000}
BAD = (5, 13, 14, 16, 31)  # micro-batches: updates apart, two in a row, one right before a line of the log


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("read_late")
    return root, make_corpus(root, **RUN)


def train(corpus, name, *words, prepare=None):
    root, paths = corpus
    status = run_training([*command_line(paths, root, root / name), *words], log=root / "log", prepare=prepare)
    assert status in (0, REQUEUE_EXIT_CODE, -signal.SIGKILL), (root / "log").read_text()[-2000:]
    return status


@pytest.fixture(scope="module")
def at_once(corpus):
    train(corpus, "at_once", "--read_late", "false", prepare=partial(poison, BAD))
    return corpus[0] / "at_once"


def test_skips_one_update_late_change_nothing(corpus, at_once):
    train(corpus, "late", "--read_late", "true", prepare=partial(poison, BAD))
    late = corpus[0] / "late"
    assert_same(late, at_once)
    state = json.loads((late / "checkpoints/latest/state/training.json").read_text())["state"]
    assert (state["update"], state["skipped"]) == (16, 5)
    warnings, expected = (
        [line.split("WARNING")[1] for line in (path / "train.log").read_text().splitlines() if "not finite" in line]
        for path in (late, at_once)
    )
    assert warnings == expected and len(warnings) == 5


@pytest.mark.parametrize("event", [20, 31, 40])
def test_a_stop_is_heard_one_update_late_and_the_run_goes_on_as_unbroken(corpus, at_once, event):
    """Also where the update before the stop is one that is dropped."""
    name = f"stopped{event}"
    stop, kill = (partial(poison_and_signal, BAD, event, number) for number in (signal.SIGTERM, signal.SIGKILL))
    assert train(corpus, name, "--read_late", "true", prepare=stop) == REQUEUE_EXIT_CODE
    assert train(corpus, name, "--read_late", "true", prepare=kill) in (0, -signal.SIGKILL)
    train(corpus, name, "--read_late", "true", prepare=partial(poison, BAD))
    assert_same(corpus[0] / name, at_once)


def test_two_ranks_skip_alike(corpus):
    root, paths = corpus
    words = ["--batch_bins", "48000", "--accum_grad", "1", "--max_update", "12", "--valid_interval_updates", "6"]
    for name, late in (("ranks_late", "true"), ("ranks_at_once", "false")):
        line = [*command_line(paths, root, root / name), *words, "--read_late", late]
        assert run_ranks(line, 2, log=root / name, prepare=partial(poison, BAD)) == [0, 0]
    ours, theirs = (
        load_file(root / name / "checkpoints/latest/model.safetensors") for name in ("ranks_late", "ranks_at_once")
    )
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def fused_updater():
    config = tiny_config(encoder_conf={"dropout": 0.1, "layerdrop": 0.2})
    torch.manual_seed(0)
    model = build(config).train()
    updater = Updater(model, config, SINGLE, max_update=100)
    return model, updater


def launch(model, updater, update, *, bad=False):
    batch = noise_batch(model)
    if bad:
        batch = replace(batch, wavs=batch.wavs * float("nan"))
    return updater.launch([prepare(model, Loaded(batch, update, 32000), SINGLE.device)], update)


def everything(model, updater):
    states = updater.optimizer.state_dict()["state"]
    moments = [value.clone() for state in states.values() for value in state.values()]
    return [*(value.clone() for value in model.state_dict().values()), *moments]


def test_a_fused_step_that_the_device_drops_leaves_no_trace():
    model, updater = fused_updater()
    for update in (1, 2):
        flags = SharedFlags(launch(model, updater, update).is_nonfinite, SINGLE, must_stop=False, must_save=False)
        updater.finish_unread(update, flags.is_nonfinite)
        assert not any(flags.read())
    before = everything(model, updater)
    flags = SharedFlags(launch(model, updater, 3, bad=True).is_nonfinite, SINGLE, must_stop=True, must_save=False)
    updater.finish_unread(3, flags.is_nonfinite)
    assert flags.read() == (True, True, False, False)
    assert all(torch.equal(value, other) for value, other in zip(everything(model, updater), before, strict=True))
    other, reference = fused_updater()  # and the next one is that of a run without it
    for update in (1, 2, 3):
        launch(other, reference, update)
        reference.finish(update, is_finite=True)
    launch(model, updater, 3)
    updater.finish_unread(3, torch.zeros(()))
    pairs = zip(everything(model, updater), everything(other, reference), strict=True)
    assert all(torch.equal(value, other) for value, other in pairs)


def test_a_state_that_is_not_fused_drops_a_bad_step_too():
    """Of a checkpoint from a CPU of the time before: it brings `fused: false` with it, and knows no `found_inf`."""
    model, updater = fused_updater()
    launch(model, updater, 1)
    updater.finish(1, is_finite=True)
    state = updater.optimizer.state_dict()
    for group in state["param_groups"]:
        group["fused"] = False
    updater.optimizer.load_state_dict(state)
    before = everything(model, updater)
    bad = launch(model, updater, 2, bad=True)
    updater.finish_unread(2, bad.is_nonfinite)
    assert all(torch.equal(value, other) for value, other in zip(everything(model, updater), before, strict=True))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"read_late": True}, True),
        ({"read_late": "auto"}, False),  # on a CPU
        ({"read_late": True, "dtype": "fp16"}, False),
        ({"read_late": True, "objective": "dinosr"}, False),  # its teacher moves on the host's word
        ({"read_late": True, "objective": "wav2vec2"}, True),
        ({"read_late": True, "encoder": "conformer"}, False),
    ],
)
def test_where_flags_are_read_late(keys, expected):
    model_keys = {key: keys[key] for key in ("encoder", "encoder_conf") if key in keys}
    config = tiny_config(keys.get("objective", "hubert"), **model_keys)
    config = config.model_copy(update={key: keys[key] for key in ("read_late", "dtype") if key in keys})
    assert reads_late(config, build(config), SINGLE) is expected
