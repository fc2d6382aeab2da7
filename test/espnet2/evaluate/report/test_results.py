"""Experiments in; rows of RESULTS.md and a page of them side by side out."""

import csv
import json
import re

import pytest
from evaluated import units_part, write_evaluated, write_part, write_training
from tiny_units import run_program

from espnet2.evaluate.report.marked_page import marks
from espnet2.evaluate.report.results import MARKS
from espnet2.utils.errors import UserError

BEGIN, END = marks(MARKS)


def table(page):
    return [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]


def test_a_row_has_the_figures_of_the_report(tmp_path):
    run_program("ssl_report", write_evaluated(tmp_path / "mine"), "--results", tmp_path / "RESULTS.md")
    head, _, row = table(tmp_path / "RESULTS.md")
    cells = dict(zip(head.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=True))
    assert cells["experiment"] == "mine" and cells["valid set"] == "dev" and cells["K"] == "100"
    assert cells["PNMI"] == "0.650 ± 0.004 (layer 1: ▲ 0.610, ▲ 0.600)"
    assert cells["ABX error within speaker"] == "8.0 % ± 1.0 (layer 1, phones.ctm, window clock: ▲ 15.0 %)"
    assert cells["phone probe"] == "70.0 % (▲ 50.0 %, ▲ 55.0 %)"
    assert cells["updates"] == "1,000" and cells["training"] == "1:15" and cells["audio heard"] == "2.2 h"
    assert "speaker probe" not in cells  # nobody has it


def test_rows_of_others_and_what_a_person_wrote_stay(tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text(f"# Mine\n\n{BEGIN}\n{END}\n\nReadings.\n")
    run_program("ssl_report", write_training(tmp_path / "a"), "--results", page)
    run_program("ssl_report", write_evaluated(tmp_path / "b"), "--results", page)
    write_part(tmp_path / "b", "units", units_part(model=0.7))
    run_program("ssl_report", tmp_path / "b", "--results", page)
    assert page.read_text().startswith(f"# Mine\n\n{BEGIN}\nFigures") and page.read_text().endswith(
        f"{END}\n\nReadings.\n"
    )
    _, _, first, second = table(page)
    assert first.startswith("| a | - | - |") and "0.700 ± 0.004" in second
    page.write_text("# Mine\n")
    with pytest.raises(UserError, match="put the lines"):
        run_program("ssl_report", tmp_path / "b", "--results", page)


def test_experiments_side_by_side(tmp_path):
    first, second = write_evaluated(tmp_path / "a" / "mine"), write_training(tmp_path / "b" / "mine", "dinosr")
    output = tmp_path / "compare.html"
    run_program("compare", first, second, "--output", output, "--results", tmp_path / "RESULTS.md")
    text = output.read_text(encoding="utf-8")
    style = {name: css for css, name in re.findall(r'<th scope="col" class="(.*?)">(.*?)</th>', text)}
    assert {name for name in ("K", "PNMI", "updates", "training") if style[name] == "number"} == {
        "K", "PNMI", "updates", "training",
    }  # fmt: skip
    assert "number" not in (style["experiment"], style["valid set"], style["verdict"])
    assert str(first) in text and str(second) in text  # equal names are told apart
    assert "loss (valid)" in text and "masked accuracy (train)" in text
    assert "loss.hubert.conf.mask_span" in text and "loss.dinosr.conf.num_codes" in text
    assert "encoder_conf.dim" not in text.partition('id="config"')[2].partition("</section>")[0]  # equal in both
    assert "must not be ranked" not in text and "Not known yet" in text


def test_figures_of_different_sets_are_not_to_be_ranked(tmp_path):
    for name, valid in (("a", "dump/dev"), ("b", "dump/other")):
        write_part(write_training(tmp_path / name), "units", units_part(valid=valid))
    run_program("compare", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "c.html")
    assert "must not be ranked" in (tmp_path / "c.html").read_text()


def test_one_experiment_is_nothing_to_compare(tmp_path):
    folder = write_training(tmp_path / "a")
    with pytest.raises(UserError, match="at least two different experiments"):
        run_program("compare", folder, tmp_path / "a" / ".." / "a", "--output", tmp_path / "c.html")
    assert not (tmp_path / "c.html").exists()


def test_a_bar_in_a_cell_does_not_end_it(tmp_path):
    page = tmp_path / "RESULTS.md"
    write_results_of(page, write_training(tmp_path / "a|b"))
    write_results_of(page, write_training(tmp_path / "c"))
    _, _, first, second = table(page)
    assert first.startswith("| a\\|b | ") and second.startswith("| c | ")
    write_results_of(page, write_training(tmp_path / "a|b"))
    assert table(page)[2:] == [first, second]  # read back as it was written


def write_results_of(page, exp):
    run_program("ssl_report", exp, "--results", page)


def test_the_data_of_a_page_lies_beside_it_with_clock_rule_and_items(tmp_path):
    first, second = write_evaluated(tmp_path / "a"), write_training(tmp_path / "b")
    with (first / "history.jsonl").open("a") as stream:
        stream.write('{"dataset": "train", "update": 1001, "loss": NaN}\n')
    run_program("ssl_report", first)
    run_program("compare", first, second, "--output", tmp_path / "compare.html")
    for page, experiments in ((first / "report.html", {"a"}), (tmp_path / "compare.html", {"a", "b"})):
        with page.with_suffix(".csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        contents = json.loads(page.with_suffix(".json").read_text(), parse_constant=pytest.fail)
        assert contents["curves"].keys() == experiments
        assert contents["curves"]["a"][-1] == {"dataset": "train", "update": 1001, "figures": {"loss": None}}
        assert len(rows) == len(contents["figures"]) > 5
        assert [row["value"] for row in rows] == [str(figure["value"]) for figure in contents["figures"]]
        best = {(row["figure"], row["system"]): row for row in rows if row["speaks_for_system"] == "True"}
        units, abx = best["pnmi", "model"], best["abx_within", "model"]
        assert (units["value"], units["layer"], units["experiment"]) == ("0.65", "1", "a")
        assert (
            units["items"] == ("1,000 frames of dev at 50 per second, window clock, silence included, K = 100")
            and abx["rule"] == "phones.ctm, window clock"
        )
        assert re.fullmatch(r"[\d,]+ triples of [\d,]+ pairs of phones, angular distance", abx["items"])
    assert "1,000 frames of dev" in (first / "report.html").read_text()


def test_runs_stand_beside_published_figures_with_their_sources(tmp_path):
    run_program(
        "compare", write_evaluated(tmp_path / "a"), write_training(tmp_path / "b"), "--output", tmp_path / "c.html"
    )
    section = (tmp_path / "c.html").read_text().partition('id="published"')[2].partition("</section>")[0]
    ours = ("8.0 %", "phones.ctm, window clock")
    abx = ("HuBERT Base, layer 11", "3.38 %", "3.07 %", "10 X, angular; Libri-light")
    superb = ("arXiv 2105.01051, table 2", "WavLM Base+", "arXiv 2506.18843, table III")
    assert [words for words in (*ours, *abx, *superb) if words not in section] == []
    published = json.loads((tmp_path / "c.json").read_text())["published"]
    assert all(figure["source"] and figure["rule"] for figure in published)
