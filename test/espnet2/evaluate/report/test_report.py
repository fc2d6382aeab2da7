"""Whole and partial experiments in; a page that says everything that is there, and what is not, out."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from evaluated import examples_part, history_lines, units_part, write_evaluated, write_part, write_training
from tiny_units import run_program

from espnet2.utils.errors import UserError

VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Tags in order, whether they nest, and the text of each section."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.addresses, self.current = [], {}, [], None
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "poster")]
        if tag == "section":
            self.current = attributes["id"]
            self.sections[self.current] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.current:
            self.sections[self.current] += data


def reported(folder):
    assert run_program("ssl_report", folder) == 0
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text).sections


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A report with everything."""
    return reported(write_evaluated(tmp_path_factory.mktemp("recipe") / "exp"))


def test_every_section_has_its_content(whole):
    _, sections = whole
    expected = {
        "summary": ["Better than all baselines", "0.650 ± 0.004", "said 2 times", "yellow", "speaker probe: left out"],
        "layers": [
            "PNMI",
            "ABX error within speaker",
            "phone probe",
            "layer weights",
            "12,345",
            "mine, mix of layers",
        ],
        "units": ["own codes", "bits/s", "12 units", "oʊ"],
        "examples": ["utt-1", "speaker2", "one two <three>", "units of layer 1, K = 100", "own codes, layer 2"],
        "curves": ["masked accuracy", "learning rate", "reference, valid"],
        "codebooks": ["code perplexity", "layer 2, train"],
        "config": ["keys differ from the defaults", "encoder_conf.dim"],
        "environment": ["PyTorch 2.13.0+cpu", "2026-01-02 03:04:05 to 2026-01-02 03:05:05"],
        "stages": ["ssl1.sh 7", "1:15", "evaluation: units"],
    }
    assert list(sections) == list(expected)
    for name, words in expected.items():
        for word in words:
            assert word in sections[name], (name, word)
    assert "exp/other" not in sections["stages"]  # the training of another experiment


def test_the_page_needs_nothing_from_outside(whole):
    text, _ = whole
    assert all(address.startswith(("data:", "#")) for address in Page(text).addresses)
    styles = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    assert "url(" not in styles and "@import" not in styles and "fetch(" not in text
    assert text.count('src="data:audio/flac;base64,') == 3
    assert 'class="missing"' not in text.replace("<style>", "")  # nothing is missing here


def test_what_comes_from_files_cannot_become_markup(tmp_path):
    folder = write_training(tmp_path / "exp")
    write_part(folder, "examples", examples_part(folder, ("<script>alert(1)</script>",)))
    (folder / "train.log").write_text("2026-01-02 03:04:05 INFO model: <b>\n2026-01-02 03:04:06 WARNING <img src=x>\n")
    text, sections = reported(folder)
    assert text.count("<script>") == 1 and "<img" not in text
    assert "<script>alert(1)</script>" in sections["examples"]


@pytest.mark.parametrize(
    ("lost", "section", "sentence"),
    [
        ("history.jsonl", "curves", "There is no history.jsonl"),
        ("history.jsonl", "codebooks", "There is no history.jsonl"),
        ("train.log", "environment", "There is no train.log"),
        ("train.log", "summary", "not known whether the training warned"),
        ("config.yaml", "config", "There is no config.yaml"),
        ("../stages.tsv", "stages", "evaluation: units"),
        ("eval/examples.json", "examples", "run stage 8"),
        ("eval/examples/2.flac", "examples", "2.flac is gone"),
        ("eval/units.json", "units", "run stage 8"),
        ("eval", "layers", "run stage 8"),
        ("eval", "summary", "Not known yet"),
        ("eval", "stages", "conf/train.yaml"),
        ("traffic_light.json", "summary", "No traffic light"),
    ],
)
def test_what_is_missing_is_said_in_its_place(tmp_path, lost, section, sentence):
    folder = write_evaluated(tmp_path / "exp")
    path = folder / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert sentence in reported(folder)[1][section]


def test_an_experiment_with_nothing_but_a_config_has_a_page(tmp_path):
    folder = write_training(tmp_path / "exp")
    for name in ("history.jsonl", "train.log", "train.done", "../stages.tsv"):
        (folder / name).unlink()
    text, sections = reported(folder)
    assert "Not known yet" in sections["summary"] and "no stages.tsv" in sections["stages"]
    assert text.count('class="missing"') == 8 and "<figure" not in text


def test_a_set_without_phones_has_label_statistics_only(tmp_path):
    folder = write_training(tmp_path / "exp")
    part = units_part()
    for row in part["rows"]:
        row.pop("heatmap", None)
        row["best"] = False
        row["train"] = row["valid"] = {
            key: value for key, value in row["valid"].items() if key not in ("pnmi", "phone_purity", "cluster_purity")
        }
    write_part(folder, "units", part | {"notes": ["no phone alignments of dump/dev"]})
    _, sections = reported(folder)
    assert "bits/s" in sections["units"] and "phone purity" not in sections["units"]
    assert "There is no heat map" in sections["units"] and "no phone alignments of dump/dev" in sections["summary"]


def test_a_diverged_training_is_drawn_as_far_as_it_goes(tmp_path):
    folder = write_training(tmp_path / "exp")
    lines = [json.dumps(line | ({"loss": float("nan")} if line["update"] > 500 else {})) for line in history_lines()]
    (folder / "history.jsonl").write_text("\n".join(lines) + '\n{"dataset": "train", "upda')
    text, _ = reported(folder)
    data = re.search(r'aria-label="loss: [^"]*" data-chart="([^"]*)"', text).group(1).replace("&#34;", '"')
    assert [series["points"][-1][0] for series in json.loads(data)["series"]] == [500, 400]
    assert "nan" not in data.lower()


def test_a_config_of_another_version_is_named(tmp_path):
    folder = write_training(tmp_path / "exp")
    with open(folder / "config.yaml", "a") as stream:
        stream.write("unheard_of: 1\n")
    assert "unheard_of" in reported(folder)[1]["config"]


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="no such experiment"):
        run_program("ssl_report", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is it an experiment"):
        run_program("ssl_report", tmp_path / "empty")
    assert not (tmp_path / "empty/report.html").exists()
