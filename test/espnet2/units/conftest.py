"""Two tiny sets of noise with phones, and an experiment folder with an untrained model, for the tests of units."""

from pathlib import Path

import pytest
import torch
from tiny_training import make_set
from tiny_units import write_experiment, write_phones

NUM_UTTERANCES = {"train": 10, "dev": 4}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe folder with dump/train and dump/dev (index, phones.ctm)."""
    root = tmp_path_factory.mktemp("corpus")
    for seed, (name, count) in enumerate(NUM_UTTERANCES.items()):
        make_set(root, name, num_utterances=count, seed=seed)
        write_phones(root / "dump" / name)
    return root


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return write_experiment(tmp_path / "exp" / "tiny")
