"""Two gloo processes with half of a batch each in, the gradients and statistics of one process with all of it out."""

import os
import subprocess
import sys

import pytest
import torch
from encoder_ranks import CASES, step


@pytest.fixture(scope="module")
def rank_results(root, tmp_path_factory):
    """Rank 0's and rank 1's results."""
    folder = tmp_path_factory.mktemp("ranks")
    helpers = root / "test/helpers"
    environment = os.environ | {"PYTHONPATH": f"{root}:{helpers}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(helpers / "encoder_ranks.py"), str(folder)]
    processes = [subprocess.Popen([*command, str(rank)], env=environment) for rank in (0, 1)]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_equal_one(rank_results, name):
    expected = step(name)
    for rank in (0, 1):
        assert rank_results[rank][name].keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(
                rank_results[rank][name][key], value, atol=2e-5, rtol=1e-4, msg=lambda text, key=key: f"{key}: {text}"
            )
