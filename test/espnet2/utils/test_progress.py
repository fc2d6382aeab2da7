"""Lines of long jobs: not too often, with how much is done, how fast, and how long the rest will take."""

from collections.abc import Callable

import pytest

from espnet2.utils.progress import AudioProgress, Pace, Progress, UtteranceProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the clock says at the next looks at it."""

    def say(*seconds: float) -> None:
        times = iter(seconds)
        monkeypatch.setattr("time.monotonic", lambda: next(times))

    return say


def test_a_line_is_due_after_so_many_seconds_and_at_the_end(clock) -> None:
    clock(0.0, 9.0, 10.0, 19.0, 20.0)
    pace = Pace(10.0)
    assert [pace.is_due(), pace.is_due(), pace.is_due(), pace.is_due(is_last=True)] == [False, True, False, True]
    assert pace.elapsed_seconds == 20.0 and pace.left_seconds(5, 20) == 60.0


def test_things_with_and_without_a_known_number(clock) -> None:
    lines: list[str] = []
    clock(0.0, 5.0, 20.0)
    progress = Progress("folders", 4000, report=lines.append)
    progress.add(500)
    progress.add(500)
    clock(0.0, 10.0)
    Progress("lines", report=lines.append).add()
    assert lines == ["folders: 1,000 of 4,000, about 60 s left (50 per second)", "lines: 1 (0 per second)"]


def test_seconds_of_audio(clock) -> None:
    lines: list[str] = []
    clock(0.0, 5.0, 20.0)
    progress = AudioProgress("labels", 400.0, lines.append)
    progress.add(50)
    progress.add(50)
    assert lines == ["labels: 25 %, 5 x real time, 60 s left"]


def test_utterances_and_the_last_of_them(clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock(0.0, 10.0, 40.0, 50.0)
    progress = UtteranceProgress(2000, 16000)
    for done in (100, 1000, 2000):
        progress.show(done, 16000 * done)
    assert capsys.readouterr().err.splitlines() == [
        "1,000 of 2,000 utterances, 25 times real time, 40 s left",
        "2,000 of 2,000 utterances, 40 times real time, 0 s left",
    ]


def test_a_job_that_is_done_at_once_divides_by_nothing(clock) -> None:
    lines: list[str] = []
    clock(0.0, 0.0)
    UtteranceProgress(1, 16000, report=lines.append).show(1, 16000)
    assert lines == ["1 of 1 utterances, 1,000,000 times real time, 0 s left"]
