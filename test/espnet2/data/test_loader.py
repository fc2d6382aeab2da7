"""The loader: a batch that cannot be handed over ends the run; too little shared memory is seen before."""

import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from espnet2.data import loader
from espnet2.data.loader import require_shared_memory
from espnet2.utils.errors import UserError

ROOT = Path(loader.__file__).parents[2]
Usage = namedtuple("Usage", "total used free")
# A data set whose third batch cannot leave its process, as if shared memory were full.
PROGRAM = """
import threading, torch
from torch.utils.data import Dataset
from espnet2.data.loader import iterate_batches
from espnet2.utils.errors import run_main

class Unsendable:
    def __reduce__(self):
        raise RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)")

class Batches(Dataset):
    def __getitem__(self, item):
        return Unsendable() if item == 2 else torch.zeros(3)

def main():
    for batch in iterate_batches(Batches(), range(5), num_workers=WORKERS):
        pass

run_main(main)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_that_cannot_be_handed_over_ends_the_run(workers):
    command = [sys.executable, "-c", PROGRAM.replace("WORKERS", str(workers))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "shared memory: " in ended.stderr and "start the same command again" in ended.stderr


@pytest.mark.parametrize(("workers", "held", "fits"), [(0, 1, True), (2, 1, True), (3, 1, False), (2, 3, False)])
def test_shared_memory_that_is_too_small_is_named_with_the_size_that_is_needed(monkeypatch, workers, held, fits):
    monkeypatch.setattr(loader.shutil, "disk_usage", lambda path: Usage(64_000_000, 0, 64_000_000))
    if fits:
        require_shared_memory(10e6, workers, held)
        return
    with pytest.raises(UserError, match=f"has 64.0 MB, and {workers} loader processes need up to 70.0 MB"):
        require_shared_memory(10e6, workers, held)
