"""A finished training with its evaluation in; figures, pictures and audio in its trackers out."""

from pathlib import Path

import pytest
import soundfile
from evaluated import examples_part, units_part, write_part, write_training
from matplotlib.image import imread

from espnet2.evaluate import tracked
from espnet2.evaluate.report.experiment import read_experiment
from espnet2.train.trackers.base import TrackedRun, Writer
from espnet2.train.tracking import record_file
from espnet2.utils.config import load_yaml
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json


class Notebook(Writer):
    def __init__(self) -> None:
        self.runs: list[TrackedRun] = []
        self.entries: list[tuple[str, int]] = []
        self.figures: dict[str, float] = {}

    @classmethod
    def load(cls) -> None:
        pass

    def open(self, run: TrackedRun) -> None:
        self.runs.append(run)

    def scalars(self, figures, update) -> None:
        self.figures |= figures

    def picture(self, name: str, file: Path, update: int) -> None:
        rows, columns, _ = imread(file).shape
        assert rows > 150 and columns > 200
        self.entries.append((name, update))

    def sound(self, name: str, file: Path, update: int) -> None:
        assert soundfile.info(file).frames > 0
        self.entries.append((name, update))

    def close(self) -> None:
        pass


def experiment_of(tmp_path: Path, tracker: str) -> Path:
    exp = write_training(tmp_path / "exp")
    write_part(exp, "units", units_part(model=0.65))
    write_part(exp, "examples", examples_part(exp, ("utt-1",)))
    config = (exp / "config.yaml").read_text()
    (exp / "config.yaml").write_text(config.replace("tracker: [none]", f"tracker: [{tracker}]"))
    assert load_yaml(exp / "config.yaml")["tracker"] == [tracker]
    return exp


def test_an_evaluation_goes_to_the_run_of_its_training_once(tmp_path, monkeypatch) -> None:
    exp = experiment_of(tmp_path, "wandb")
    write_json(record_file(exp, "wandb"), {"run_id": "0badcafe", "sent": {"train": 1000}})
    seen = []
    for _ in range(2):
        notebook = Notebook()
        monkeypatch.setattr(tracked, "load_writers", lambda names, notebook=notebook: dict.fromkeys(names, notebook))
        tracked.track_evaluation(read_experiment(exp), pytest.fail)
        seen.append(notebook)
    first, again = seen
    assert first.runs[0].run_id == "0badcafe" and not first.runs[0].is_new
    assert first.figures["eval/pnmi"] == 0.65
    assert ("examples/1_units", 1000) in first.entries and ("examples/1_audio", 1000) in first.entries
    assert again.figures == {} and again.entries == []


def test_a_run_that_was_never_tracked_there_is_left_alone(tmp_path, monkeypatch) -> None:
    exp = experiment_of(tmp_path, "wandb")
    notebook = Notebook()
    monkeypatch.setattr(tracked, "load_writers", lambda names: dict.fromkeys(names, notebook))
    tracked.track_evaluation(read_experiment(exp), pytest.fail)
    assert notebook.runs == []


def test_a_missing_package_is_no_error_of_the_evaluation(tmp_path, monkeypatch) -> None:
    exp = experiment_of(tmp_path, "wandb")

    def refuse(names: list[str]) -> dict[str, Writer]:
        raise UserError("--tracker wandb needs a package")

    monkeypatch.setattr(tracked, "load_writers", refuse)
    warnings: list[str] = []
    tracked.track_evaluation(read_experiment(exp), warnings.append)
    assert warnings == ["the evaluation is not sent to a tracker: --tracker wandb needs a package"]
