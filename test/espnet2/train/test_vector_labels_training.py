"""A training on soft labels and on codebooks: learns, killed and resumed, on two ranks."""

import json
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from tiny_training import command_line, make_corpus
from training_faults import signal_at_event
from training_process import run_ranks, run_training

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.labels.vector import VectorRow, join_codebooks, pack_vector_labels
from espnet2.pretrain.inputs import DataPaths

SETTINGS = {"max_update": 6, "valid_interval_updates": 3, "save_interval_updates": 2, "log_interval_updates": 3}
LOSS = [{"name": "hubert", "labels": name, "conf": {"mask_span": 4, "label_dim": 8}} for name in ("soft", "books")]
ONE_RANK = ["--batch_bins", "24000", "--accum_grad", "2"]


def soften(row: np.ndarray) -> VectorRow:
    """The hard label with weight 0.9 and the class behind it with 0.1."""
    return VectorRow(np.stack([row, (row + 1) % 5], 1), np.tile(np.float32([0.9, 0.1]), (len(row), 1)))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("vector_training")
    paths = make_corpus(root, num_train=16, num_valid=3, loss=LOSS, **SETTINGS)
    for name in ("train", "valid"):
        hard, index = PackedLabels.open(root / "labels" / name), AudioIndex.open(root / "dump" / name)
        rows = (soften(hard.labels(row)) for row in range(len(hard)))
        about = {"num_classes": 5, "label_rate": 50, "index_hash": index.hash}
        pack_vector_labels(rows, root / "soft" / name, width=2, is_soft=True, **about)
        join_codebooks([hard, hard, hard], root / "books" / name)
    words = [[f"soft={root}/soft/{name}", f"books={root}/books/{name}"] for name in ("train", "valid")]
    return root, DataPaths(paths.train_sets, paths.valid_sets, *words)


@pytest.fixture(scope="module")
def single(corpus):
    root, paths = corpus
    words = [*command_line(paths, root, root / "single"), *ONE_RANK]
    assert run_training(words, log=root / "single.log") == 0, (root / "single.log").read_text()[-3000:]
    return root / "single"


def weights(experiment: Path) -> dict[str, np.ndarray]:
    saved = load_file(experiment / "checkpoints/latest/model.safetensors")
    return {name: value.numpy() for name, value in saved.items()}


def test_heads_and_figures(single):
    saved = weights(single)
    assert saved["objectives.hubert_soft.head.label_embeddings"].shape == (5, 8)
    assert saved["objectives.hubert_books.head.label_embeddings"].shape == (15, 8)
    assert "num_codebooks: 3" in (single / "config.yaml").read_text()
    last = json.loads((single / "train.done").read_text())["valid"]
    assert 0 <= last["hubert_soft.masked_accuracy"] <= 1 and 0 <= last["hubert_books.masked_accuracy"] <= 1


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
