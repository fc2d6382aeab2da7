"""Updates by their numbers in; the trace and the table of those that were asked for out."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from tiny_training import command_line, make_corpus
from training_process import run_training

from espnet2.train.profiling import ProfileWindow, UpdateProfiler, measure_gaps
from espnet2.utils.errors import UserError


def profiled(folder: Path, window: ProfileWindow, updates: list[int]) -> list[str]:
    """Lines of the log of a training that computes some products in every update."""
    lines: list[str] = []
    profiler = UpdateProfiler(window, torch.device("cpu"), folder, lines.append)
    for update in updates:
        profiler.before_update(update)
        for _ in range(3):
            torch.ones(8, 8) @ torch.ones(8, 8)
        profiler.waited(0.25)
    profiler.close()
    return lines


def test_the_updates_of_the_window_are_profiled(tmp_path):
    (line,) = profiled(tmp_path, ProfileWindow(3, 4), [1, 2, 3, 4, 5])
    assert "2 updates of" in line and line.endswith(f"{tmp_path}/updates_3-4.md")
    table = (tmp_path / "updates_3-4.md").read_text()
    assert "| the training waits for the loader | 250.000 |" in table
    assert "| `aten::mm` | 3.0 |" in table
    trace = json.loads(gzip.decompress((tmp_path / "updates_3-4.json.gz").read_bytes()))
    assert sum(event["name"] == "aten::mm" for event in trace["traceEvents"] if "name" in event) == 6


def test_a_training_that_ends_in_the_window_says_what_it_has(tmp_path):
    (line,) = profiled(tmp_path, ProfileWindow(2, 9), [1, 2, 3])
    assert "2 updates of" in line and (tmp_path / "updates_2-3.json.gz").exists()


def test_a_skipped_update_comes_twice(tmp_path):
    (line,) = profiled(tmp_path, ProfileWindow(2, 2), [1, 2, 2, 3])
    assert "2 updates of" in line and (tmp_path / "updates_2-2.md").exists()


@pytest.mark.parametrize("updates", [[1, 2], [7, 8], []])
def test_a_window_that_never_comes_is_said(tmp_path, updates):
    assert profiled(tmp_path, ProfileWindow(5, 6), updates) == [
        "profile: updates 5 to 6 were not computed in this start"
    ]
    assert not list(tmp_path.iterdir())


def test_kernels_side_by_side_are_counted_once():
    assert measure_gaps([(0, 10), (2, 3), (4, 12), (20, 21)]) == (13, 8)
    assert measure_gaps([]) == (0, 0)


@pytest.mark.parametrize("text", ["5", "5:", "a:b", "6:5", "0:3", "-1:3", "1:2:3", " 1:2"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(UserError, match="such as 20:25"):
        ProfileWindow.parse(text)


def test_too_many_updates_are_refused():
    assert ProfileWindow.parse("1:100") == (1, 100)
    with pytest.raises(UserError, match="101 updates; 100 at most"):
        ProfileWindow.parse("1:101")


def test_a_training_profiles_some_of_its_updates(tmp_path):
    paths = make_corpus(tmp_path, max_update=4)
    output = tmp_path / "exp"
    words = [*command_line(paths, tmp_path, output), "--profile", "2:3"]
    assert run_training(words, log=tmp_path / "log") == 0, (tmp_path / "log").read_text()[-2000:]
    assert "profile: 2 updates of" in (output / "train.log").read_text()
    assert "aten::addmm" in (output / "profile/updates_2-3.md").read_text()
    assert (output / "profile/updates_2-3.json.gz").stat().st_size > 1000
