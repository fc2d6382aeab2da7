"""Parts of an evaluation: what is unchanged is kept, and a part sees what one before it has just found."""

from pathlib import Path
from typing import Any

import pytest

from espnet2.evaluate.part import EvaluationRequest, read_part, run_parts, scratch_folder


class Counted:
    """A part whose figure is how often it ran."""

    def __init__(self, name: str, rests_on: str | None = None) -> None:
        self.name, self.rests_on, self.runs, self.rule = name, rests_on, 0, 1

    def settings(self, request: EvaluationRequest) -> dict[str, Any]:
        before = read_part(request.exp, self.rests_on) if self.rests_on else None
        return {"rule": self.rule, "before": before and before["rows"]}

    def forecast_seconds(self, request: EvaluationRequest) -> float:
        return 60.0

    def run(self, request: EvaluationRequest, report) -> dict[str, Any]:
        self.runs += 1
        return {"rows": [self.runs], "notes": []}


def test_unchanged_parts_are_kept_and_what_rests_on_a_changed_one_is_not(tmp_path: Path) -> None:
    request = EvaluationRequest(tmp_path, tmp_path, tmp_path, ())
    first, second = Counted("units"), Counted("abx", rests_on="units")

    def run(**options: bool) -> list[str]:
        log: list[str] = []
        run_parts([first, second], request, log.append, **options)
        assert (read_part(tmp_path, "units") or {})["rows"] == [first.runs]
        return log

    assert run()[0] == "forecast: 2.0 minutes (units 60 s, abx 60 s)" and (first.runs, second.runs) == (1, 1)
    assert all("unchanged, kept" in line for line in run()) and (first.runs, second.runs) == (1, 1)
    first.rule = 2
    run()
    assert (first.runs, second.runs) == (2, 2)
    run(fresh=True)
    assert (first.runs, second.runs) == (3, 3)


def test_fresh_forgets_what_the_named_parts_have_kept_also_when_it_is_stopped(tmp_path: Path) -> None:
    request = EvaluationRequest(tmp_path, tmp_path, tmp_path, ())
    parts = {name: Counted(name) for name in ("units", "probes")}
    run_parts(list(parts.values()), request, lambda line: None)
    for name in parts:
        scratch_folder(tmp_path, name).mkdir()
        (scratch_folder(tmp_path, name) / "kept.json").touch()
    run_parts([parts["units"]], request, lambda line: None, fresh=True)
    assert not scratch_folder(tmp_path, "units").exists() and scratch_folder(tmp_path, "probes").exists()

    def stopped(request: EvaluationRequest, report) -> dict[str, Any]:
        raise KeyboardInterrupt

    parts["units"].run = stopped
    with pytest.raises(KeyboardInterrupt):
        run_parts(list(parts.values()), request, lambda line: None, fresh=True)
    assert not scratch_folder(tmp_path, "probes").exists()
    run_parts([parts["probes"]], request, lambda line: None)  # goes on: nothing old counts as done
    assert parts["probes"].runs == 2
