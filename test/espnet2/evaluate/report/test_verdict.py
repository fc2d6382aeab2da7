"""Figures in; the answer in plain words, and what it does not know, out."""

import json

import pytest
from evaluated import abx_part, lights, units_part, write_evaluated, write_part, write_training

from espnet2.evaluate.abx.page import abx_table, read_rows
from espnet2.evaluate.report.curves import reference_curves
from espnet2.evaluate.report.experiment import read_experiment
from espnet2.evaluate.report.results import row_of
from espnet2.evaluate.report.together import table_of_systems
from espnet2.evaluate.report.verdict import cards, judge, lamps, method_note, missing
from espnet2.evaluate.spread import MEANING


def judged(folder, **parts):
    write_training(folder)
    for name, part in parts.items():
        write_part(folder, name, part)
    return judge(read_experiment(folder))


@pytest.mark.parametrize(
    ("figures", "level", "title"),
    [
        ({}, "good", "Better than all baselines"),
        ({"mfcc": 0.7, "untrained": 0.7}, "poor", "Not better than the baselines"),
        ({"mfcc": 0.65, "untrained": 0.65}, "fair", "About as good as the baselines"),
        ({"mfcc": 0.65}, "fair", "Better than the baselines in part, worse in nothing"),
        ({"mfcc": 0.7}, "fair", "About as good as the baselines"),
    ],
)
def test_each_answer(tmp_path, figures, level, title):
    verdict = judged(tmp_path / "exp", units=units_part(**figures))
    assert (verdict.level, verdict.title) == (level, title)


def test_one_measure_is_called_one_measure(tmp_path):
    text = judged(tmp_path / "exp", units=units_part()).text
    assert text == "The model clearly beats MFCC and the same model untrained, in PNMI, the only measure taken."


def test_nothing_is_claimed_without_baselines(tmp_path):
    part = units_part()
    part["rows"] = [row for row in part["rows"] if row["system"] == "model"]
    assert judged(tmp_path / "exp", units=part).level == "unknown"


def test_a_card_says_each_baseline(tmp_path):
    write_training(tmp_path / "exp")
    write_part(tmp_path / "exp", "units", units_part())
    write_part(tmp_path / "exp", "abx", abx_part(model=0.2))
    pnmi, within, _ = cards(read_experiment(tmp_path / "exp"))
    assert pnmi.against == (
        ("better", "better than MFCC: 0.610 ± 0.004"),
        ("better", "better than untrained: 0.600 ± 0.004"),
    )
    assert within.against == (("worse", "worse than MFCC: 15.0 % ± 1.0"),)
    assert pnmi.details == (
        "± 0.004 · layer 1 · 1,000 frames of dev at 50 per second, window clock, silence included, K = 100"
    )
    assert within.value == "20.0 %"
    assert within.details.startswith("± 1.0 · layer 1 · phones.ctm, window clock; ")
    assert within.details.endswith(" pairs of phones, angular distance")


def test_intervals_are_written_like_spreads_however_lopsided_they_are(tmp_path):
    """One format on the page, in the cards, in RESULTS.md and in the table of several models."""
    folder = write_training(tmp_path / "exp")
    part = abx_part()
    for row in part["rows"]:
        row["low"], row["high"] = row["error_rate"] - 0.001, row["error_rate"] + 0.019
    write_part(folder, "abx", part)
    write_part(folder, "units", units_part())
    experiment = read_experiment(folder)
    within = next(card for card in cards(experiment) if "within" in card.title)
    assert (within.details.split(" · ")[0], within.against[0][1]) == ("± 1.0", "better than MFCC: 15.0 % ± 1.0")
    table = table_of_systems(experiment.parts)
    row = " ".join(map(str, row_of(experiment)))
    page = abx_table(read_rows(part))
    assert all("8.0 % ± 1.0" in text and "[" not in text for text in (table, row, page))
    assert method_note(experiment).startswith(MEANING) and MEANING in table and "9.9 %" in page


def test_what_is_missing_is_said_with_the_remedy(tmp_path):
    sentences = " ".join(missing(read_experiment(write_training(tmp_path / "exp"))))
    for part in ("units", "ABX", "probes", "examples"):
        assert part in sentences
    assert "espnet2.bin.ssl_evaluate" in sentences
    (tmp_path / "exp/train.done").unlink()
    assert "has reached update 1,000" in missing(read_experiment(tmp_path / "exp"))[0]
    (tmp_path / "exp/history.jsonl").unlink()
    assert "No history.jsonl" in missing(read_experiment(tmp_path / "exp"))[0]


def test_notes_of_parts_and_damaged_files_are_said(tmp_path):
    folder = write_evaluated(tmp_path / "exp")
    (folder / "eval/extra.json").write_text("{")
    sentences = missing(read_experiment(folder))
    assert "In probes: speaker probe: left out: one speaker." in sentences
    assert any("extra.json is no result of an evaluation" in sentence for sentence in sentences)
    assert not any("damaged" in sentence for sentence in sentences)
    for name in ("train.done", "traffic_light.json"):
        (folder / name).write_text("{")
        assert f"{folder / name} is damaged or cut short and was left out." in missing(read_experiment(folder))


def test_the_traffic_light_is_that_of_the_last_validation(tmp_path):
    folder = write_evaluated(tmp_path / "exp")
    (lamp,), note = lamps(read_experiment(folder))
    assert lamp.level == "yellow" and lamp.text.startswith("masked accuracy 0.400 at update 1,000, reference 0.450")
    assert "against 2 earlier runs of this config on mini" in note
    beside = {"beside": "guessing", "mean": 4.44, "figure": "loss_masked", "value": 4.54, "light": "red"}
    alone = lights() | {"reference": None, "reason": "none, as no curves come with this config"}
    alone["rows"] = [row | beside for row in alone["rows"]]
    (folder / "traffic_light.json").write_text(json.dumps(alone))
    (lamp,), note = lamps(read_experiment(folder))
    assert (lamp.level, lamp.text) == ("red", "loss masked 4.540 at update 1,000, guessing 4.440")
    assert "against guessing and the start of this training" in note and "no curves come with this config" in note
    (line,) = reference_curves(alone)["loss_masked"]
    assert (line.name, line.points) == ("guessing", [(800, 4.44), (1000, 4.44)])
    (folder / "traffic_light.json").write_text(json.dumps(lights() | {"rows": [], "reason": "other data"}))
    assert lamps(read_experiment(folder)) == ([], "No traffic light: other data.")
    (folder / "traffic_light.json").unlink()
    assert lamps(read_experiment(folder))[1].startswith("No traffic light")
