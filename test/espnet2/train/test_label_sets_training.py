"""A training on two label sets: killed and resumed, on two ranks, its log, its packed model; other labels refused."""

import json
import shutil
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from label_sets import TWO_SETS, add_fine_labels, named_labels
from safetensors.torch import load_file
from tiny_packed import write_kmeans
from tiny_training import command_line, make_corpus
from tiny_units import run_program
from training_faults import signal_at_event
from training_process import run_ranks, run_training

from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.utils.errors import UserError

SETTINGS = {"max_update": 6, "valid_interval_updates": 3, "save_interval_updates": 2, "log_interval_updates": 3}
ONE_RANK = ["--batch_bins", "24000", "--accum_grad", "2"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("label_sets")
    paths = make_corpus(root, num_train=16, num_valid=3, loss=TWO_SETS, **SETTINGS)
    add_fine_labels(root)
    return root, named_labels(root, paths)


@pytest.fixture(scope="module")
def single(corpus):
    root, paths = corpus
    words = [*command_line(paths, root, root / "single"), *ONE_RANK]
    assert run_training(words, log=root / "single.log") == 0, (root / "single.log").read_text()[-3000:]
    return root / "single"


def weights(experiment: Path) -> dict[str, np.ndarray]:
    saved = load_file(experiment / "checkpoints/latest/model.safetensors")
    return {name: value.numpy() for name, value in saved.items()}


def test_every_set_has_its_head_and_its_figures(single):
    saved = weights(single)
    assert saved["objectives.hubert_coarse.head.label_embeddings"].shape == (5, 8)
    assert saved["objectives.hubert_fine.head.label_embeddings"].shape == (8, 8)
    last = json.loads((single / "train.done").read_text())["valid"]
    assert 0 <= last["hubert_coarse.masked_accuracy"] <= 1 and 0 <= last["hubert_fine.masked_accuracy"] <= 1
    expected = last["hubert_coarse.loss_masked"] + 0.5 * last["hubert_fine.loss_masked"]
    assert last["loss"] == pytest.approx(expected, rel=1e-6)
    log = (single / "train.log").read_text()
    assert "labels coarse: 5 classes, 50 per second" in log and "labels fine: 8 classes, 100 per second" in log


def test_killed_and_resumed_it_is_the_same(corpus, single):
    root, paths = corpus
    words = [*command_line(paths, root, root / "killed"), *ONE_RANK]
    assert run_training(words, log=root / "killed.log", prepare=partial(signal_at_event, 30)) == -signal.SIGKILL
    assert run_training(words, log=root / "killed.log") == 0, (root / "killed.log").read_text()[-3000:]
    ours, theirs = weights(root / "killed"), weights(single)
    assert ours.keys() == theirs.keys() and all(np.array_equal(value, theirs[name]) for name, value in ours.items())


def test_two_ranks_are_as_one(corpus, single):
    root, paths = corpus
    words = [*command_line(paths, root, root / "ddp"), "--batch_bins", "48000", "--accum_grad", "1"]
    assert run_ranks(words, 2, log=root / "ddp") == [0, 0], (root / "ddp.0.log").read_text()[-3000:]
    theirs = weights(single)
    for name, value in weights(root / "ddp").items():
        np.testing.assert_allclose(value, theirs[name], rtol=1e-4, atol=2e-6, err_msg=name)


def test_other_labels_of_one_set_do_not_go_on(corpus, single):
    root, paths = corpus
    shutil.copytree(single, root / "changed", symlinks=True)
    add_fine_labels(root, folder="other", shift=1)
    words = [*command_line(named_labels(root, paths, fine="other"), root, root / "changed"), *ONE_RANK]
    assert run_training([*words, "--max_update", "8"], log=root / "changed.log") == 2
    said = (root / "changed.log").read_text()
    assert "data.train_labels.fine" in said and "data.valid_labels.fine" in said and "labels.coarse" not in said


def test_the_packed_model_carries_the_kmeans_of_every_set(single, tmp_path):
    coarse = write_kmeans(tmp_path / "km_coarse", single, num_clusters=5)
    fine = write_kmeans(tmp_path / "km_fine", single, num_clusters=8)
    words = ["--model", single, "--output", tmp_path / "packed", "--formats", "", "--targets", coarse, fine]
    run_program("ssl_pack", *words)
    assert {path.name for path in (tmp_path / "packed/kmeans").iterdir()} == {"km_coarse", "km_fine"}
    assert not (tmp_path / "packed/tokens.txt").exists()
    assert set(SpeechEncoder.from_pretrained(tmp_path / "packed").unit_sources) == {"km_coarse", "km_fine"}
    wrong = write_kmeans(tmp_path / "km_wrong", single, num_clusters=6)
    with pytest.raises(UserError, match="has 6 clusters, but the model was trained on 5 or 8 classes"):
        run_program("ssl_pack", *words[:-1], wrong)
    shutil.copytree(fine, tmp_path / "again/km_coarse")
    with pytest.raises(UserError, match="two k-means folders have the same name"):
        run_program("ssl_pack", *words[:-1], tmp_path / "again/km_coarse")
