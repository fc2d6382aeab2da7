"""Figures of a training in; what trackers got of them, over stops, failures and missing packages, out."""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from espnet2.train import tracking
from espnet2.train.config import TrainConfig
from espnet2.train.prepared_run import open_reporter
from espnet2.train.reporter import FolderReporter, IntervalFigures, Reporter
from espnet2.train.state import Validation
from espnet2.train.trackers.base import TrackedRun, Writer
from espnet2.train.tracking import Figures, MediaFile, Tracker, load_writers, read_record
from espnet2.utils.errors import UserError

SETTINGS = {"optim_conf.lr": 0.1}


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib takes a second for each; test_reporter.py draws real ones."""

    def draw(history: Path, directory: Path) -> list[Path]:
        directory.mkdir(exist_ok=True)
        (directory / "loss.png").write_bytes(b"picture")
        return [directory / "loss.png"]

    monkeypatch.setattr("espnet2.train.plots.draw_curves", draw)


class Notebook(Writer):
    """Writes down what it gets; `fault` may raise or wait before."""

    def __init__(self, fault: Callable[[], None] = lambda: None) -> None:
        self.fault, self.entries, self.runs, self.closed = fault, [], [], 0

    @classmethod
    def load(cls) -> None:
        pass

    def open(self, run: TrackedRun) -> None:
        self.runs.append(run)

    def scalars(self, figures: Mapping[str, float], update: int) -> None:
        self.fault()
        self.entries.append((update, dict(figures)))

    def picture(self, name: str, file: Path, update: int) -> None:
        self.entries.append((update, f"picture {name}"))

    def sound(self, name: str, file: Path, update: int) -> None:
        self.entries.append((update, f"sound {name}"))

    def close(self) -> None:
        self.closed += 1


class Purging(Notebook):
    purges: ClassVar[bool] = True


def figures(update: int, loss: float = 4.5) -> IntervalFigures:
    return IntervalFigures(update, 1, {"loss": loss}, 2.0, 0.5, 5e-4, 1200.0, 60.0, 0.01, 90.0, 0)


def part_of_a_run(folder: Path, notebook: Writer, *, start: int, stop: int) -> None:
    """Updates start + 1 to stop, a line each, and a validation at the last."""
    reporter = FolderReporter(folder, writers={"notebook": notebook}, settings=SETTINGS)
    reporter.start([], update=start, max_update=10)
    for update in range(start + 1, stop + 1):
        reporter.interval(figures(update))
    reporter.validation(Validation(stop, {}, {"loss": 4.0}), 1.0)
    reporter.close()


def losses(notebook: Notebook, dataset: str = "train") -> list[int]:
    name = f"{dataset}/loss"
    return [update for update, entry in notebook.entries if isinstance(entry, dict) and name in entry]


def test_a_tracker_gets_what_the_log_has_and_the_curves(tmp_path: Path) -> None:
    notebook = Notebook()
    part_of_a_run(tmp_path / "hubert", notebook, start=0, stop=2)
    (run,) = notebook.runs
    assert (run.name, run.settings, run.is_new, run.update) == ("hubert", SETTINGS, True, 0)
    assert notebook.entries[0] == (1, {
        "train/loss": 4.5, "train/epoch": 1, "train/grad_norm": 2.0, "train/clip_share": 0.5,
        "train/learning_rate": 5e-4, "train/audio_per_second": 1200.0, "train/audio_per_update": 60.0,
        "train/wait_share": 0.01, "train/eta_seconds": 90.0, "train/skipped": 0,
    })  # fmt: skip
    assert notebook.entries[2] == (2, {"valid/loss": 4.0})
    assert (2, "picture curves/loss") in notebook.entries and notebook.closed == 1


def test_a_resumed_run_keeps_its_id_and_repeats_no_step(tmp_path: Path) -> None:
    """Killed at 5, its newest checkpoint at 3: 4 and 5 are computed again, to the same bits."""
    first, second = Notebook(), Notebook()
    part_of_a_run(tmp_path, first, start=0, stop=5)
    part_of_a_run(tmp_path, second, start=3, stop=7)
    assert losses(first) == [1, 2, 3, 4, 5] and losses(second) == [6, 7]
    assert losses(second, "valid") == [7]
    assert second.runs[0].run_id == first.runs[0].run_id and not second.runs[0].is_new
    record = read_record(tmp_path, "notebook")
    assert record is not None and (record["sent"]["train"], record["sent"]["valid"]) == (7, 7)


def test_a_run_from_the_start_in_an_old_folder_is_a_new_run(tmp_path: Path) -> None:
    first, second = Notebook(), Notebook()
    part_of_a_run(tmp_path, first, start=0, stop=2)
    part_of_a_run(tmp_path, second, start=0, stop=2)
    assert second.runs[0].run_id != first.runs[0].run_id and losses(second) == [1, 2]


def test_a_damaged_record_is_no_record(tmp_path: Path) -> None:
    part_of_a_run(tmp_path, Notebook(), start=0, stop=2)
    tracking.record_file(tmp_path, "notebook").write_text("{")
    notebook = Notebook()
    part_of_a_run(tmp_path, notebook, start=1, stop=2)
    assert notebook.runs[0].is_new and losses(notebook) == [1, 2]


def test_what_a_killed_run_left_unsent_is_sent_when_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracker did not answer before the kill at 5; the newest checkpoint is at 3. Another one joins now."""

    def refuse() -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(tracking, "RETRY_SECONDS", 60.0)
    part_of_a_run(tmp_path, Notebook(refuse), start=0, stop=5)
    second, joined = Notebook(), Notebook()
    reporter = FolderReporter(tmp_path, writers={"notebook": second, "joined": joined})
    reporter.start([], update=3, max_update=10)
    reporter.interval(figures(4))
    reporter.close()
    assert losses(second) == losses(joined) == [1, 2, 3, 4]
    assert second.entries[0][1]["train/learning_rate"] == 5e-4 and not second.runs[0].is_new and joined.runs[0].is_new


def test_a_tracker_that_purges_gets_repeated_steps_and_keeps_no_record(tmp_path: Path) -> None:
    part_of_a_run(tmp_path, Purging(), start=0, stop=5)
    notebook = Purging()
    part_of_a_run(tmp_path, notebook, start=3, stop=5)
    assert losses(notebook) == [4, 5] and not (tmp_path / "trackers").exists()


def test_a_failure_is_told_once_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "RETRY_SECONDS", 0.01)
    failures = iter([ConnectionError("no route"), ConnectionError("no route"), TimeoutError("late"), None, None])

    def fault() -> None:
        if error := next(failures, None):
            raise error

    notebook = Notebook(fault)
    reporter = FolderReporter(tmp_path, writers={"notebook": notebook})
    reporter.start([], update=0, max_update=10)
    for update in (1, 2, 3):
        reporter.interval(figures(update))
    until = time.monotonic() + 30
    while len(notebook.entries) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    reporter.close()
    assert losses(notebook) == [1, 2, 3]
    log = (tmp_path / "train.log").read_text()
    assert log.count("tracker notebook does not work") == 1 and "ConnectionError: no route" in log
    assert "may be missing" not in log


def test_a_tracker_that_never_answers_neither_slows_nor_keeps_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "CLOSE_SECONDS", 0.2)
    answer = threading.Event()
    notebook = Notebook(lambda: answer.wait(60) and None)
    started = time.monotonic()
    part_of_a_run(tmp_path, notebook, start=0, stop=9)
    seconds = time.monotonic() - started
    answer.set()
    assert seconds < 30
    log = (tmp_path / "train.log").read_text()
    assert "update 9/10" in log and "tracker notebook: " in log and "may be missing there" in log


def test_a_tracker_that_stays_away_is_given_up_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConnectionError("no route")

    warnings: list[str] = []
    tracker = Tracker("notebook", Notebook(refuse), tmp_path, warnings.append)
    tracker.start({}, 0)
    monkeypatch.setattr(tracking, "MAX_PENDING", 2)
    for update in range(5):
        tracker.put(Figures("train", update, {"loss": 1.0}))
    tracker.close()
    assert len(warnings) == 2 and "5 entries may be missing there" in warnings[1]


def test_what_is_drawn_anew_without_a_change_is_sent_once(tmp_path: Path) -> None:
    picture = tmp_path / "example.png"
    picture.write_bytes(b"first")
    seen = []
    for content in (b"first", b"first", b"second"):
        picture.write_bytes(content)
        notebook = Notebook()
        tracker = Tracker("notebook", notebook, tmp_path, pytest.fail)
        tracker.start({}, 1)
        tracker.put(MediaFile("examples/1", 10, picture))
        tracker.put(Figures("eval", 10, {"abx": 0.1}, is_final=True))
        tracker.close()
        seen.append([entry for _, entry in notebook.entries])
    assert seen == [["picture examples/1", {"eval/abx": 0.1}], [], ["picture examples/1"]]


def test_names_are_words_of_a_list_and_checked() -> None:
    assert TrainConfig(tracker="wandb, tensorboard").tracker == ("wandb", "tensorboard")
    assert TrainConfig(tracker=["mlflow"]).tracker == ("mlflow",) and TrainConfig().tracker == ("tensorboard",)
    assert load_writers(["none"]) == {}
    for names in ("none wandb", ""):
        with pytest.raises(UserError, match="expected none, or some of mlflow, tensorboard, trackio, wandb"):
            TrainConfig(tracker=names)
    with pytest.raises(UserError, match="unknown tracker 'wandbb'; did you mean 'wandb'"):
        TrainConfig(tracker="wandbb")


@pytest.mark.parametrize("is_first", [True, False])
def test_only_the_first_rank_writes_and_all_hear_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    said: list[str | None] = []

    def from_first(failure: str | None) -> str | None:
        said.append(failure)
        return failure

    ranks = SimpleNamespace(is_first=is_first, from_first=from_first)
    run = SimpleNamespace(config=TrainConfig(tracker="wandb"), directory=tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    if is_first:
        with pytest.raises(UserError, match="needs a package"):
            open_reporter(run, ranks)
    else:
        assert type(open_reporter(run, ranks)) is Reporter and not list(tmp_path.iterdir())
    assert len(said) == 1 and (said[0] is not None) == is_first


def test_the_record_is_written_before_the_tool_has_the_id(tmp_path: Path) -> None:
    class Killed(Notebook):
        def open(self, run: TrackedRun) -> None:
            self.runs.append((run.run_id, json.loads(tracking.record_file(tmp_path, "notebook").read_text())["run_id"]))

    notebook = Killed()
    part_of_a_run(tmp_path, notebook, start=0, stop=1)
    assert notebook.runs[0][0] == notebook.runs[0][1]
