"""The forgetting check: a set of the old domain is measured beside the valid set, and moves nothing."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_training import command_line, make_corpus, make_set
from training_faults import signal_at_event
from training_process import run_training

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import pack_labels
from espnet2.evaluate.report.curves import curve_groups
from espnet2.launch.signals import REQUEUE_EXIT_CODE
from espnet2.train.history import read_history

LENGTH = {"max_update": 4, "valid_interval_updates": 2, "probe": {"num_clusters": 5, "seconds": 8.0}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("old")
    paths = make_corpus(root, **LENGTH)
    make_set(root, "old", num_utterances=8, seed=5)
    return root, paths


def train(corpus, name: str, *words: str, status: int = 0, prepare=None, config: str = "conf") -> tuple[Path, str]:
    root, paths = corpus
    log = root / f"{name}.log"
    command = [*command_line(paths, root, root / name, config), *map(str, words)]
    options = {} if prepare is None else {"prepare": prepare}
    assert run_training(command, log=log, **options) == status, log.read_text()[-3000:]
    return root / name, log.read_text()


def old_options(corpus, *, labels: bool = True) -> list[str]:
    root, _ = corpus
    return ["--old_sets", f"{root}/dump/old", *(["--old_labels", f"{root}/labels/old"] if labels else [])]


@pytest.fixture(scope="module")
def plain(corpus):
    return train(corpus, "plain")


@pytest.fixture(scope="module")
def checked(corpus):
    return train(corpus, "checked", *old_options(corpus))


def state(experiment: Path) -> dict:
    return json.loads((experiment / "checkpoints/latest/state/training.json").read_text())["state"]


def test_it_moves_nothing(plain, checked):
    ours, theirs = (load_file(folder / "checkpoints/latest/model.safetensors") for folder, _ in (plain, checked))
    assert all((ours[name] == theirs[name]).all() for name in ours)
    for before, after in zip(state(plain[0])["validations"], state(checked[0])["validations"], strict=True):
        assert before["valid"] == {name: value for name, value in after["valid"].items() if not name.startswith("old_")}
        assert before["train"] == after["train"]


def test_it_is_in_the_log_the_history_the_curves_and_the_pictures(checked):
    output, log = checked
    assert "old domain: 8 utterances, 0.00 h: loss and probe" in log
    initial, validations = state(output)["initial"], state(output)["validations"]
    assert {"old_loss", "old_masked_accuracy", "old_probe_mfcc_information", "probe_rank"} <= initial.keys()
    last = validations[-1]["valid"]["old_loss"]
    change = 100 * (last / initial["old_loss"] - 1)
    assert f"old domain: loss {last:.3f} ({initial['old_loss']:.3f} at the start, {change:+.1f} %), probe_mfcc" in log
    assert [line.figures["old_loss"] for line in read_history(output) if line.dataset == "valid"] == [
        validation["valid"]["old_loss"] for validation in validations
    ]
    assert "old domain" in curve_groups(read_history(output))["loss"]
    assert not list((output / "images").glob("old_*")) and (output / "images/loss.png").exists()
    assert json.loads((output / "train.done").read_text())["valid"]["old_loss"] == last


def test_it_is_measured_as_a_valid_set_is(corpus, checked):
    """The same set as valid set gives the same figures."""
    root, paths = corpus
    swapped = [*command_line(paths, root, root / "swapped")]
    swapped[swapped.index("--valid_sets") + 1] = f"{root}/dump/old"
    swapped[swapped.index("--valid_labels") + 1] = f"{root}/labels/old"
    assert run_training(swapped, log=root / "swapped.log") == 0
    valid, old = (state(folder)["validations"][-1]["valid"] for folder in (root / "swapped", checked[0]))
    assert {name: old[f"old_{name}"] for name in valid} == valid


def test_a_stopped_run_goes_on_with_it(corpus, checked):
    prepare = partial(signal_at_event, 9, signal.SIGTERM)
    train(corpus, "stopped", *old_options(corpus), status=REQUEUE_EXIT_CODE, prepare=prepare)
    output, _ = train(corpus, "stopped", *old_options(corpus))
    ours, theirs = state(output), state(checked[0])
    assert (ours["initial"], ours["validations"]) == (theirs["initial"], theirs["validations"])


def test_without_labels_the_probe_speaks_alone_and_may_choose_the_best(corpus):
    criterion = ["--best_model_criterion", "[[valid, old_probe_mfcc_information, max]]"]
    output, log = train(corpus, "unlabelled", *old_options(corpus, labels=False), *criterion)
    assert "probe alone, as there are no --old_labels" in log and "old_loss" not in log
    assert (output / "checkpoints/best_old_probe_mfcc_information").exists()


def other_labels(root: Path) -> str:
    index = AudioIndex.open(root / "dump/old")
    folder = root / "labels/other"
    if not folder.exists():
        pack_labels([[0, 6] * 60] * len(index), folder, num_classes=7, label_rate=50, index_hash=index.hash)
    return str(folder)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--old_sets", "{root}/dump/gone"], "--old_sets, the old domain: {root}/dump/gone"),
        (["--old_labels", "{root}/labels/old"], "--old_labels are labels of --old_sets, which are not given"),
        (["--old_sets", "{root}/dump/valid"], "is the valid set itself"),
        (["--old_sets", "{root}/dump/old", "--old_labels", "{root}/labels/valid"], "{root}/labels/valid"),
        (["--old_sets", "{root}/dump/old", "--old_labels", "{other}"], "classes"),
        (
            ["--old_sets", "{root}/dump/old", "--old_labels", "{root}/labels/old {root}/labels/old"],
            "2 folders of labels for 1 --old_sets",
        ),
        (["--old_sets", "{root}/dump/old", "--old_labels", "km={root}/labels/old"], "one without a name"),
        (["--old_sets", "{root}/dump/old", "--probe", "enabled=false"], "nothing of it can be measured"),
        (["--best_model_criterion", "[[valid, old_loss, min]]"], "there is no figure 'old_loss'"),
    ],
)
def test_mistakes(corpus, tmp_path, words, expected):
    root, _ = corpus
    names = {"root": root, "other": other_labels(root)}
    output, log = train(corpus, tmp_path.name, *(word.format(**names) for word in words), status=2)
    assert expected.format(**names) in log and "Traceback" not in log
    assert log.count("error") == 1 and not (output / "checkpoints").exists()
