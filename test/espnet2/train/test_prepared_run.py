"""A prepared run and a loop that only notes its calls in; what the log says, in which order, and who is asked, out."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from espnet2.launch.signals import StopSignals
from espnet2.train import prepared_run
from espnet2.train.config import TrainConfig
from espnet2.train.data import StepPlan
from espnet2.train.precision import Precision
from espnet2.train.prepared_run import PreparedRun, finish_run
from espnet2.train.reporter import FolderReporter
from espnet2.train.state import TrainState
from espnet2.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class NotedRun(PreparedRun):
    """Notes what it is asked for."""

    calls: list[str] = field(default_factory=list)

    def begin(self, update: int) -> None:
        self.calls.append(f"begin {update}")

    def describe(self) -> list[str]:
        self.calls.append("describe")
        return ["first line"]

    def describe_stop(self, update: int, seconds: float) -> str:
        assert 0 <= seconds < 5
        return f"stopped at {update}"

    def finish(self, state: TrainState) -> str:
        self.calls.append(f"finish {state.update}")
        return "last line"


class NotedTrainer:
    """A loop of `updates` updates from update 3, or one whose checkpoint is another run's."""

    updates, refuses, made_with = 5, False, {}
    profiler = None

    def __init__(self, model: object, data: object, config: TrainConfig, **options: Any) -> None:
        NotedTrainer.made_with = options
        self.updater = SimpleNamespace(precision=Precision("fp32", torch.device("cpu")))
        self.state, self.max_update = TrainState(), options["max_update"]

    def resume(self) -> bool:
        if self.refuses:
            raise UserError("another run")
        self.state = TrainState(update=3)
        return True

    def run(self) -> bool:
        self.state = TrainState(update=3 + self.updates)
        return self.state.update >= self.max_update


class Ranks:
    """The first rank, or another."""

    def __init__(self, *, is_first: bool) -> None:
        self.is_first, self.device, self.world_size = is_first, torch.device("cpu"), 1

    def from_first(self, value: str | None) -> str | None:
        """The other ranks have met no failure either."""
        return value


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NotedRun:
    """Eight updates, of which a checkpoint has three."""
    monkeypatch.setattr(prepared_run, "Trainer", NotedTrainer)
    monkeypatch.setattr(prepared_run, "record_start", lambda folder, update, device: (f"code: {folder.name}", ""))
    return NotedRun(
        config=TrainConfig(max_update=8), model=None, data=None, steps=StepPlan(100, 2, 4), max_update=8,
        hashes={"train": "abc"}, directory=tmp_path / "exp",
    )  # fmt: skip


def log_of(run: NotedRun) -> list[str]:
    """The lines without their dates."""
    return [line[20:] for line in (run.directory / "train.log").read_text().splitlines()]


def test_a_complete_run(run: NotedRun) -> None:
    assert finish_run(run, Ranks(is_first=True), StopSignals()) is True
    assert run.calls == ["begin 3", "describe", "finish 8"]
    lines = ["INFO first line", "INFO precision: fp32", "INFO code: exp", "INFO going on from update 3 of 8"]
    assert log_of(run) == [*lines, "INFO last line"]


def test_a_compiled_run_that_goes_on_says_that_bits_may_differ(run: NotedRun) -> None:
    finish_run(replace(run, config=TrainConfig(max_update=8, compile=True)), Ranks(is_first=True), StopSignals())
    (line,) = [line for line in log_of(run) if "the last bits of a loss may differ" in line]
    assert line.startswith("INFO compile: ") and line in log_of(run)[4]


def test_other_code_than_before_is_a_warning(run: NotedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []
    monkeypatch.setattr(
        prepared_run, "record_start", lambda *words, **facts: starts.append((words, facts)) or ("code: new", "changed")
    )
    finish_run(run, Ranks(is_first=True), StopSignals())
    assert starts == [((run.directory,), {"update": 3, "device": "CPU"})]
    assert log_of(run)[-2:] == ["WARNING changed", "INFO last line"]


def test_the_loop_gets_all_of_it(run: NotedRun) -> None:
    finish_run(run, Ranks(is_first=True), StopSignals())
    given = NotedTrainer.made_with
    assert given["identity"]["data"] == {"train": "abc"}
    assert given["identity"]["division"] == {"shard_samples": 100, "micro_batches": 4}
    assert given["folder"].directory == run.directory / "checkpoints"
    assert given["folder"].tell == given["reporter"].warn and isinstance(given["reporter"], FolderReporter)


def test_a_run_that_a_signal_ends(run: NotedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotedTrainer, "updates", 2)
    stop = StopSignals()
    stop.received = "SIGUSR1"
    assert finish_run(run, Ranks(is_first=True), stop) is False
    assert run.calls == ["begin 3", "describe"]
    assert log_of(run)[-1] == "WARNING SIGUSR1: stopped at 5"


def test_another_rank_writes_nothing(run: NotedRun) -> None:
    assert finish_run(run, Ranks(is_first=False), StopSignals()) is True
    assert run.calls == ["describe"] and not run.directory.exists()


def test_a_checkpoint_of_another_run_is_refused_before_anything_begins(
    run: NotedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(NotedTrainer, "refuses", True)
    monkeypatch.setattr(FolderReporter, "close", lambda reporter: closed.append(reporter))
    with pytest.raises(UserError, match="another run"):
        finish_run(run, Ranks(is_first=True), StopSignals())
    assert run.calls == [] and len(closed) == 1
