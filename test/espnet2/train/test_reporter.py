"""Figures of a training in; a progress bar with log lines above it on a terminal, plain lines elsewhere, out."""

import io
import sys
from dataclasses import replace

import pytest

from espnet2.train.history import read_history
from espnet2.train.reporter import FolderReporter, IntervalFigures
from espnet2.train.tracking import load_writers

FIGURES = IntervalFigures(5, 0, {"loss": 4.5}, 2.0, 0.5, 5e-4, 1200.0, 60.0, 0.01, 90.0, 0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_a_bar_on_a_terminal_only(tmp_path, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    reporter = FolderReporter(tmp_path, writers=load_writers(["tensorboard"]))
    reporter.start(["model: small"], update=0, max_update=10)
    reporter.interval(FIGURES)
    reporter.close()
    shown = stream.getvalue()
    assert "INFO model: small" in shown and "INFO update 5/10, epoch 0: loss 4.500" in shown
    assert ("50%|" in shown and "5/10" in shown) == stream.isatty()
    assert "|" not in (tmp_path / "train.log").read_text()
    assert list((tmp_path / "tensorboard").glob("events*")) and (tmp_path / "images/loss.png").exists()


def test_figures_of_single_layers_are_kept_but_not_shown(tmp_path):
    reporter = FolderReporter(tmp_path)
    reporter.start([], update=0, max_update=10)
    reporter.interval(replace(FIGURES, figures={"code_perplexity": 50.0, "code_perplexity_layer5": 60.0}))
    reporter.close()
    log = (tmp_path / "train.log").read_text()
    assert "code_perplexity 50.000" in log and "layer5" not in log
    assert '"code_perplexity_layer5": 60.0' in (tmp_path / "history.jsonl").read_text()


def test_lines_of_the_history_that_a_kill_cut_short_are_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    whole = '{"dataset": "train", "update": 1, "loss": 4.5}\n'
    path.write_text(whole + '{"dataset": "train", "upd{"dataset": "train", "update": 2}\n' + whole[:20])
    assert [line.update for line in read_history(tmp_path)] == [1]
    reporter = FolderReporter(tmp_path)
    reporter.start([], update=1, max_update=10)
    reporter.close()
    assert path.read_text() == whole


def test_a_machine_that_cannot_draw_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    reporter = FolderReporter(tmp_path)
    reporter.start([], update=0, max_update=2)
    (tmp_path / "history.jsonl").write_text('{"dataset": "train", "update": 1, "loss": 2.0}\n')
    reporter.draw()
    reporter.close()
    assert "images/ is not drawn" in (tmp_path / "train.log").read_text()
    assert not list((tmp_path / "images").glob("*.png"))
