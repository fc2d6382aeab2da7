"""Trainings killed at seeded instants and resumed in; weights and states bit for bit those of an unbroken run out."""

import json
import random
import signal
from functools import partial

import pytest
from same_run import assert_same
from tiny_training import command_line, make_corpus
from training_faults import kill_after_seconds, signal_at_event
from training_process import run_training

from espnet2.data.labels.packed import PackedLabels, pack_labels
from espnet2.launch.signals import REQUEUE_EXIT_CODE
from espnet2.train.manifest import find_damage

NUM_KILLS = 10  # for each number of loader processes
LONG_RUN = {
    "max_update": 120,
    "accum_grad": 2,
    "batch_bins": 24000,
    "log_interval_updates": 5,
    "valid_interval_updates": 8,
    "save_interval_updates": 3,
    "keep_nbest_models": 2,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    return root, make_corpus(root, **LONG_RUN)


@pytest.fixture(scope="module")
def unbroken(corpus):
    root, paths = corpus
    words = command_line(paths, root, root / "unbroken")
    assert run_training(words, log=root / "unbroken.log") == 0
    return root / "unbroken"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_run_equals_unbroken_run(corpus, unbroken, num_workers):
    root, paths = corpus
    output = root / f"killed{num_workers}"
    words = [*command_line(paths, root, output), "--num_workers", str(num_workers)]
    draw = random.Random(num_workers)
    kills = 0
    for attempt in range(NUM_KILLS):
        by_clock = attempt % 4 == 3
        clock, event = (
            partial(kill_after_seconds, draw.uniform(0.05, 0.3)),
            partial(signal_at_event, draw.randint(1, 75)),
        )
        prepare = clock if by_clock else event
        status = run_training(words, log=root / f"killed{num_workers}.log", prepare=prepare)
        assert status in (0, -signal.SIGKILL), (root / f"killed{num_workers}.log").read_text()[-2000:]
        kills += status == -signal.SIGKILL
    assert kills == NUM_KILLS, "the run ended before all kills: make it longer"
    assert run_training(words, log=root / f"killed{num_workers}.log") == 0
    assert_same(output, unbroken)
    assert not list((output / "checkpoints").glob(".partial*"))
    assert json.loads((output / "train.done").read_text())["updates"] == LONG_RUN["max_update"]


SHORT_RUN = {"max_update": "8", "valid_interval_updates": "4", "save_interval_updates": "2"}


@pytest.fixture
def short(tmp_path):
    """A finished run of eight updates and the words that made it."""
    paths = make_corpus(tmp_path, num_train=12, num_valid=3, **{key: int(value) for key, value in SHORT_RUN.items()})
    words = command_line(paths, tmp_path, tmp_path / "exp")
    assert run_training(words, log=tmp_path / "log") == 0, (tmp_path / "log").read_text()
    return words


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_saves_and_says_how_to_go_on(corpus, unbroken, number):
    root, paths = corpus
    output = root / f"stopped{number}"
    words = command_line(paths, root, output)
    status = run_training(words, log=root / "stopped.log", prepare=partial(signal_at_event, 100, number))
    assert status == REQUEUE_EXIT_CODE
    text = (output / "train.log").read_text()
    assert f"{number.name}: saved at update" in text and f"{output}/run.sh" in text
    assert run_training(words, log=root / "stopped.log") == 0
    assert_same(output, unbroken)


def test_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, short):
    before = (tmp_path / "exp/checkpoints/update_8/model.safetensors").read_bytes()
    model = tmp_path / "exp/checkpoints/update_8/model.safetensors"
    model.write_bytes(before[:-100])
    assert "bytes" in find_damage(model.parent)
    assert run_training(short, log=tmp_path / "again.log") == 0
    text = (tmp_path / "again.log").read_text()
    assert f"update_8: model.safetensors has {len(before) - 100} of {len(before)} bytes; falling back" in text
    assert "going on from update 6 of 8" in text
    assert model.read_bytes() == before


def test_no_whole_checkpoint_is_an_error(tmp_path, short):
    for model in tmp_path.glob("exp/checkpoints/update_*/model.safetensors"):
        model.write_bytes(b"x" + model.read_bytes()[1:])
    assert run_training(short, log=tmp_path / "again.log") == 2
    text = (tmp_path / "again.log").read_text()
    assert "no checkpoint is whole" in text and "Traceback" not in text


def test_finished_run_may_be_extended(tmp_path, short):
    assert run_training([*short, "--max_update", "10"], log=tmp_path / "again.log") == 0
    assert json.loads((tmp_path / "exp/train.done").read_text())["updates"] == 10


@pytest.mark.parametrize("change", ["config", "data", "labels"])
def test_another_run_is_refused(tmp_path, short, change):
    words = list(short)
    if change == "config":
        words += ["--optim_conf", "lr=2e-3", "--encoder_conf", "dropout=0.2"]
        expected = ["config.optim_conf.lr: 0.001 in the checkpoint, 0.002 now", "config.encoder_conf.dropout"]
    elif change == "data":
        other = make_corpus(tmp_path / "other", num_train=13)
        for option, value in (("--train_sets", other.train_sets), ("--train_labels", other.train_labels)):
            words[words.index(option) + 1] = value[0]
        expected = ["data.train_sets", "data.train_labels"]
    else:
        old = PackedLabels.open(words[words.index("--train_labels") + 1])
        moved = ((old.labels(row) + 1) % old.num_classes for row in range(len(old)))
        pack_labels(
            moved, tmp_path / "moved", num_classes=old.num_classes, label_rate=old.label_rate, index_hash=old.index_hash
        )
        words[words.index("--train_labels") + 1] = str(tmp_path / "moved")
        expected = ["data.train_labels"]
    before = sorted(path.name for path in (tmp_path / "exp/checkpoints").iterdir())
    assert run_training(words, log=tmp_path / "other.log") == 2
    text = (tmp_path / "other.log").read_text()
    assert "belongs to a run with other settings" in text and "--output_dir" in text and "Traceback" not in text
    assert all(line in text for line in expected), text
    assert sorted(path.name for path in (tmp_path / "exp/checkpoints").iterdir()) == before
