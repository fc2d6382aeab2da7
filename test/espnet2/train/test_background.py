"""Checkpoints written beside the updates that follow in; whole ones, and the training of an unbroken run, out."""

import json
import random
import signal
from functools import partial

import pytest
import torch
from same_run import assert_same
from tiny_training import command_line, make_corpus
from training_faults import fill_disk, slow_and_kill, slow_saves
from training_process import run_ranks, run_training

from espnet2.launch.signals import REQUEUE_EXIT_CODE
from espnet2.train.background import Background, HostCopy
from espnet2.train.manifest import find_damage

NUM_KILLS = 8
RUN = {
    "max_update": 40,
    "batch_bins": 24000,
    "log_interval_updates": 1,
    "valid_interval_updates": 20,
    "save_interval_updates": 4,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("background")
    return root, make_corpus(root, **RUN)


def words(corpus, name, *options):
    root, paths = corpus
    return [*command_line(paths, root, root / name), "--save_in_background", "true", *options]


@pytest.fixture(scope="module")
def unbroken(corpus):
    line = words(corpus, "unbroken", "--save_in_background", "false")
    assert run_training(line, log=corpus[0] / "unbroken.log") == 0
    return corpus[0] / "unbroken"


def test_updates_go_on_while_a_checkpoint_is_written(corpus, unbroken):
    log = corpus[0] / "slow.log"
    assert run_training(words(corpus, "slow"), log=log, prepare=partial(slow_saves, 0.3)) == 0, log.read_text()
    assert_same(corpus[0] / "slow", unbroken)
    steps = [int(line.rpartition(" ")[2]) for line in log.read_text().splitlines() if "steps beside a save" in line]
    assert len(steps) == RUN["max_update"] // RUN["save_interval_updates"] and max(steps) > 0


@pytest.mark.parametrize("late", ["false", "true"])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(corpus, unbroken, late):
    """Saves are slow: kills fall into updates beside them, too."""
    output = corpus[0] / f"killed_{late}"
    line, draw = words(corpus, output.name, "--read_late", late), random.Random(late)
    kills = 0
    for _ in range(NUM_KILLS):
        prepare = partial(slow_and_kill, 0.05, draw.randint(5, 60))
        kills += run_training(line, log=corpus[0] / "killed.log", prepare=prepare) == -signal.SIGKILL
        checkpoints = list((output / "checkpoints").glob("update_*"))
        assert all(find_damage(path) is None for path in checkpoints if (path / "state").exists())
    assert kills > NUM_KILLS // 2
    assert run_training(line, log=corpus[0] / "killed.log") == 0
    assert_same(output, unbroken)
    assert not list((output / "checkpoints").glob(".partial*"))


@pytest.mark.parametrize(("ranks", "options"), [(1, []), (2, []), (2, ["--fsdp", "true"])])
def test_a_full_disk_is_told_at_the_next_update(corpus, ranks, options):
    output = corpus[0] / f"full{ranks}{len(options)}"
    line = words(corpus, output.name, "--save_interval_updates", "6", "--valid_interval_updates", "40", *options)
    log = corpus[0] / output.name
    statuses = run_ranks(line, ranks, log=log, prepare=partial(fill_disk, 2))
    assert statuses == [2] * ranks
    text = log.with_suffix(".0.log").read_text()
    assert "cannot write the checkpoint of update 12 (" in text and "the checkpoint of update 6 is intact" in text
    last = json.loads((output / "history.jsonl").read_text().splitlines()[-1])["update"]
    assert 12 <= last <= 25  # not at the end of the run; writing takes some updates
    assert find_damage(output / "checkpoints/update_6") is None
    assert not list((output / "checkpoints").glob("update_12"))


FSDP = ["--fsdp", "true"]


@pytest.fixture(scope="module")
def unbroken_shards(corpus):
    line = words(corpus, "unbroken_shards", *FSDP, "--save_in_background", "false")
    assert run_ranks(line, 2, log=corpus[0] / "unbroken_shards") == [0, 0]
    return corpus[0] / "unbroken_shards"


def assert_same_shards(first, second):
    """Weights, and the parts that hold weights and optimizer of each rank."""
    ours, theirs = (path / "checkpoints/latest" for path in (first, second))
    assert find_damage(ours) is None
    parts = sorted(path.name for path in (ours / "state/parts").glob("__*"))
    assert {name[:4] for name in parts} == {"__0_", "__1_"}
    for name in ("model.safetensors", *(f"state/parts/{name}" for name in parts)):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def test_updates_of_a_sharded_run_go_on_while_a_checkpoint_is_written(corpus, unbroken_shards):
    log = corpus[0] / "slow_shards"
    line = words(corpus, "slow_shards", *FSDP)
    assert run_ranks(line, 2, log=log, prepare=partial(slow_saves, 0.3)) == [0, 0]
    assert_same_shards(corpus[0] / "slow_shards", unbroken_shards)
    text = log.with_suffix(".0.log").read_text()
    steps = [int(line.rpartition(" ")[2]) for line in text.splitlines() if "steps beside a save" in line]
    assert len(steps) == RUN["max_update"] // RUN["save_interval_updates"] and max(steps) > 0


def test_a_sharded_run_that_was_killed_beside_a_save_goes_on(corpus, unbroken_shards):
    output = corpus[0] / "killed_shards"
    line, draw = words(corpus, output.name, *FSDP), random.Random(0)
    kills = 0
    for _ in range(NUM_KILLS // 2):
        prepare = partial(slow_and_kill, 0.2, draw.randint(10, 60))
        statuses = run_ranks(line, 2, log=corpus[0] / "killed_shards", prepare=prepare)
        kills += -signal.SIGKILL in statuses
        checkpoints = list((output / "checkpoints").glob("update_*"))
        assert all(find_damage(path) is None for path in checkpoints if (path / "state").exists())
    assert kills > 1
    assert run_ranks(line, 2, log=corpus[0] / "killed_shards") == [0, 0]
    assert_same_shards(output, unbroken_shards)


def test_a_stop_waits_for_the_checkpoint(corpus, unbroken):
    from training_faults import signal_at_event

    line = words(corpus, "stopped")
    log = corpus[0] / "stopped.log"
    assert run_training(line, log=log, prepare=partial(signal_at_event, 30, signal.SIGTERM)) == REQUEUE_EXIT_CODE
    update = max(int(path.name.split("_")[1]) for path in (corpus[0] / "stopped/checkpoints").glob("update_*"))
    assert f"saved at update {update}" in (corpus[0] / "stopped/train.log").read_text()
    assert run_training(line, log=log) == 0
    assert_same(corpus[0] / "stopped", unbroken)


def test_a_copy_is_of_its_instant_and_keeps_the_form():
    weight = torch.ones(3)
    copied = HostCopy().of({"a": [weight, 5], "b": {0: (weight, "x")}})
    weight += 1
    assert copied["a"][1] == 5 and copied["b"][0][1] == "x"
    assert torch.equal(copied["a"][0], torch.ones(3)) and torch.equal(copied["b"][0][0], torch.ones(3))


def test_one_thing_after_the_other_and_a_failure_is_kept():
    done, background = [], Background()
    for number in range(3):
        background.start(partial(done.append, number))
    background.wait()
    assert done == [0, 1, 2] and background.failure is None
    background.start(partial(int, "x"))
    background.wait()
    assert isinstance(background.failure, ValueError)
