"""Figures of trainings and reference curves in; the light that the rules give, and no light where none is due, out."""

import json
from dataclasses import replace

import pytest
import yaml
from tiny_training import command_line, make_corpus
from training_process import run_training

from espnet2.pretrain.inputs import DataPaths
from espnet2.pretrain.reference import (
    Curve,
    Point,
    Reference,
    Subject,
    find_reference_file,
    light_of,
    read_references,
    relevant_keys,
    write_references,
)
from espnet2.pretrain.reference_make import add_reference, chosen_figures, make_reference, spread_points
from espnet2.pretrain.traffic_light import TrafficLight
from espnet2.tasks.config import resolve_config
from espnet2.train.history import HistoryLine
from espnet2.train.state import Validation
from espnet2.utils.errors import UserError

CONFIG = {"loss": [{"name": "hubert", "conf": {"num_classes": 5}}], "encoder_conf": {"num_layers": 3}}
DATA = {
    "train": {"utterances": 24, "seconds": 26.0},
    "valid": {"utterances": 6, "seconds": 6.5},
    "labels": {"classes": 5, "per_second": 50, "perplexity": 4.8, "run_seconds": 0.1},
}
PROBE = {"layer": 2, "num_clusters": 50, "seconds": 120.0}


def subject(updates: int = 100, data: dict = DATA, probe: dict = PROBE, **config) -> Subject:
    return Subject(relevant_keys(resolve_config({**CONFIG, **config})), data, probe, updates)


def reference(**changes) -> Reference:
    accuracy = Curve("higher", (Point(20, 0.2, 0.02), Point(60, 0.4, 0.04), Point(100, 0.5, 0.05)))
    curves = {"masked_accuracy": accuracy, "probe_pnmi": Curve("higher", (Point(20, 0.5, 0.01), Point(100, 0.6, 0.01)))}
    return replace(Reference("mini", subject(), curves, "assumed", ({"name": "a"},)), **changes)


def valid(update: int, **figures: float) -> Validation:
    return Validation(update, {}, figures)


@pytest.mark.parametrize(
    ("value", "better", "light"),
    [
        (0.40, "higher", "green"),
        (0.31, "higher", "green"),  # one spread: the border is green
        (0.309, "higher", "yellow"),
        (0.28, "higher", "yellow"),
        (0.279, "higher", "red"),
        (float("nan"), "higher", "red"),
        (0.20, "lower", "green"),
        (0.39, "lower", "yellow"),
        (0.41, "lower", "red"),
        (0.31, "near", "green"),
        (0.39, "near", "yellow"),
        (0.27, "near", "red"),
    ],
)
def test_rules(value, better, light):
    assert light_of(value, 0.34, 0.03, better) == light


def test_between_the_points_the_curve_is_straight_and_outside_there_is_none():
    (light,) = reference().judge(valid(40, masked_accuracy=0.275), 100)
    assert (light.mean, light.spread, light.light) == (pytest.approx(0.3), pytest.approx(0.03), "green")
    assert light.describe() == "masked_accuracy 0.275, reference 0.300 ± 0.030: green"
    assert reference().judge(valid(19, masked_accuracy=0.1), 100) == []
    assert reference().judge(valid(101, masked_accuracy=0.1), 100) == []
    assert len(reference().judge(valid(20, masked_accuracy=0.1), 100)) == 1


def test_another_length_is_compared_at_the_same_share_with_twice_the_spread():
    (light,) = reference().judge(valid(60, masked_accuracy=0.3), 150)
    assert (light.mean, light.spread) == (pytest.approx(0.3), pytest.approx(0.06))
    (light,) = reference().judge(valid(150, masked_accuracy=0.3), 150)
    assert light.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (subject(), ""),
        (subject(150), ""),
        (subject(seed=7, num_workers=0, dtype="fp32", keep_nbest_models=3), ""),
        (subject(batch_bins=500_000, accum_grad=2), ""),  # the same samples per update
        (subject(151), "100 updates says nothing about one of 151"),
        (subject(batch_bins=500_000), "batch_bins: 1000000 there, 500000 here"),
        (subject(optim_conf={"lr": 1e-5}), "optim_conf.lr"),
        (subject(encoder_conf={"num_layers": 4}), "encoder_conf.num_layers: 3 there, 4 here"),
        (subject(data={**DATA, "train": {"utterances": 25, "seconds": 26.0}}), "train utterances: 24 there, 25 here"),
        (subject(data={**DATA, "train": {"utterances": 24, "seconds": 26.2}}), ""),
        (subject(data={**DATA, "train": {"utterances": 24, "seconds": 26.3}}), "train seconds"),
        (subject(data={**DATA, "labels": {**DATA["labels"], "perplexity": 4.0}}), "labels perplexity"),
        (subject(data={key: DATA[key] for key in ("train", "valid")}), "labels classes: 5 there, None here"),
    ],
)
def test_what_may_be_compared(other, reason):
    mismatch = reference().mismatch(other)
    assert (reason in mismatch) if reason else mismatch == ""


def test_a_config_key_that_is_newer_than_the_reference_has_its_default_there():
    config = dict(reference().subject.config)
    del config["grad_clip"]
    older = reference(subject=replace(subject(), config=config))
    assert older.mismatch(subject()) == ""
    assert "grad_clip" in older.mismatch(subject(grad_clip=1.0))


def test_of_another_probe_only_the_other_figures_are_judged(tmp_path):
    path = tmp_path / "curves.json"
    write_references(path, [reference()])
    assert read_references(path) == [reference()]
    lights = TrafficLight.open(tmp_path, subject(probe={**PROBE, "num_clusters": 20}), "auto", path)
    line, worst = lights.look([valid(20, masked_accuracy=0.2, probe_pnmi=0.1)], {})
    assert worst == "green" and "probe" not in line
    lights = TrafficLight.open(tmp_path, subject(), "auto", path)
    line, worst = lights.look([valid(20, masked_accuracy=0.2, probe_pnmi=0.1)], {})
    assert worst == "red" and "probe_pnmi 0.100, reference 0.500 ± 0.010: red" in line
    assert [row["light"] for row in json.loads((tmp_path / "traffic_light.json").read_text())["rows"]] == [
        "green",
        "red",
    ]


def test_without_reference_it_says_why_and_gives_no_light(tmp_path):
    path = tmp_path / "curves.json"
    write_references(path, [reference()])
    cases = {
        "no curves come with this config": TrafficLight.open(tmp_path, subject(), "auto", None),
        "off (reference is none)": TrafficLight.open(tmp_path, subject(), "none", None),
        "mini: other config (grad_clip: 10.0 there, 1.0 here)": TrafficLight.open(
            tmp_path, subject(grad_clip=1.0), "auto", path
        ),
    }
    for reason, lights in cases.items():
        assert reason in lights.describe()
        assert lights.look([valid(20, masked_accuracy=0.2)], {}) == ("", "")
        written = json.loads((tmp_path / "traffic_light.json").read_text())
        assert written["rows"] == [] and written["reference"] is None and reason in written["reason"]
    path.write_text("{}")
    assert "not a file of this version" in TrafficLight.open(tmp_path, subject(), "auto", path).describe()


def test_the_file_is_found_beside_the_config_and_behind_its_link(tmp_path):
    template, recipe = tmp_path / "template", tmp_path / "recipe"
    (template / "reference").mkdir(parents=True)
    recipe.mkdir()
    (template / "train_x.yaml").touch()
    (recipe / "train_x.yaml").symlink_to(template / "train_x.yaml")
    assert find_reference_file("auto", recipe / "train_x.yaml") is None
    (template / "reference/train_x.json").touch()
    assert find_reference_file("auto", recipe / "train_x.yaml") == template / "reference/train_x.json"
    (recipe / "reference").mkdir()
    (recipe / "reference/train_x.json").touch()
    assert find_reference_file("auto", recipe / "train_x.yaml") == recipe / "reference/train_x.json"
    assert find_reference_file("none", recipe / "train_x.yaml") is None
    with pytest.raises(UserError, match="no such file"):
        find_reference_file(str(tmp_path / "gone.json"), recipe / "train_x.yaml")


def test_a_recipe_without_the_file_uses_that_of_its_template(tmp_path):
    template, recipe = tmp_path / "template", tmp_path / "recipe"
    (template / "conf/reference").mkdir(parents=True)
    (recipe / "conf").mkdir(parents=True)
    for path in (template / "path.sh", template / "conf/train_x.yaml", template / "conf/reference/train_x.json"):
        path.touch()
    common = template / "conf/reference/train_x.json"
    config = recipe / "conf/train_x.yaml"
    assert find_reference_file("auto", config) is None  # no recipe yet: it has no path.sh
    (recipe / "path.sh").symlink_to(template / "path.sh")
    assert find_reference_file("auto", config) == common
    assert find_reference_file(str(recipe / "conf/reference/train_x.json"), config) == common
    config.touch()
    assert find_reference_file("auto", config) == common
    (recipe / "conf/reference").mkdir()
    (recipe / "conf/reference/train_x.json").touch()
    assert find_reference_file("auto", config) == recipe / "conf/reference/train_x.json"


def test_spread_is_measured_from_three_runs_and_assumed_from_fewer():
    runs = [{10: 0.30, 20: 0.4}, {10: 0.34, 20: 0.4, 30: 0.5}, {10: 0.38, 20: 0.4}]
    assert spread_points(runs) == ((10, 0.34, 0.08), (20, 0.4, 0.012))
    assert spread_points(runs[:1]) == ((10, 0.3, 0.03), (20, 0.4, 0.04))
    assert spread_points([{10: 0.2}, {10: 0.3}]) == ((10, 0.25, 0.1),)


def test_which_figures_are_kept():
    def history(**figures):
        return [[HistoryLine("valid", 1, figures)]]

    assert chosen_figures(history(loss=1.0, loss_masked=1.0), False) == {"loss": "lower"}
    assert chosen_figures(history(loss=1.0), True) == {"loss": "near"}
    both = history(**{"loss": 1.0, "hubert.masked_accuracy": 0.1, "unmasked_accuracy": 0.1, "probe_pnmi": 0.5})
    assert chosen_figures(both, False) == {"hubert.masked_accuracy": "higher", "probe_pnmi": "higher"}
    assert chosen_figures(history(masked_accuracy=0.1), True) == {"masked_accuracy": "near"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run, and its folder of configs."""
    root = tmp_path_factory.mktemp("reference")
    paths = make_corpus(root, valid_interval_updates=2, probe={"num_clusters": 5}, keep_nbest_models=1)
    assert run_training(command_line(paths, root, root / "first"), log=root / "first.log") == 0
    return root, paths


def test_from_a_run_to_the_lights_of_the_next(trained):
    root, paths = trained
    assert "traffic light: none, as no curves come with this config" in (root / "first/train.log").read_text()
    made = make_reference([root / "first"], "tiny")
    # Nothing is in the record that the data do not say as well; and a run without a record can be used with them.
    assert make_reference([root / "first"], "tiny", paths) == made
    path = root / "reference/conf.json"
    assert add_reference(path, made) == 1 and add_reference(path, made) == 1
    assert add_reference(path, replace(made, subject=replace(made.subject, updates=40))) == 2

    again = command_line(paths, root, root / "again")
    assert run_training([*again, "--max_update", "8"], log=root / "again.log") == 0
    log = (root / "again/train.log").read_text()
    assert log.count("INFO traffic light at update") == 4 and "red" not in log
    written = json.loads((root / "again/traffic_light.json").read_text())
    assert [row["update"] for row in written["rows"]] == [2, 4, 6, 8]
    assert all(row["value"] == pytest.approx(row["mean"], rel=1e-4) for row in written["rows"])
    assert written["reference"]["corpus"] == "tiny" and "red: more" in written["rules"]

    # After a break the lights of the first part are there still; of a longer run, at the same share of it.
    assert run_training([*again, "--max_update", "12"], log=root / "again.log") == 0
    written = json.loads((root / "again/traffic_light.json").read_text())
    assert [row["update"] for row in written["rows"]] == [4, 6, 8, 10, 12]

    bad = [*command_line(paths, root, root / "bad"), "--optim_conf", "lr=1.0"]
    assert run_training(bad, log=root / "bad.log") == 0
    log = (root / "bad/train.log").read_text()
    assert "other config (optim_conf.lr: 0.001 there, 1.0 here)" in log
    assert "traffic light at update 4: loss" in log and ", reference " not in log, "beside its own start instead"


def test_runs_that_are_no_repetition_are_refused(trained, tmp_path):
    root, paths = trained
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UserError, match="has not ended"):
        make_reference([other], "tiny")
    for name in ("train.done", "history.jsonl", "config.yaml"):
        (other / name).write_bytes((root / "first" / name).read_bytes())
    with pytest.raises(UserError, match="name --train_sets"):
        make_reference([other], "tiny")
    config = yaml.safe_load((other / "config.yaml").read_text())
    (other / "config.yaml").write_text(yaml.safe_dump({**config, "grad_clip": 1.0, "seed": 3}))
    with pytest.raises(UserError, match=r"is no repetition of .*\n  grad_clip: 10\.0 there, 1\.0 here\n"):
        make_reference([root / "first", other], "tiny", paths)
    (other / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 3}))
    swapped = DataPaths(paths.valid_sets, paths.train_sets, paths.valid_labels, paths.train_labels)
    assert make_reference([other], "tiny", swapped).mismatch(make_reference([root / "first"], "tiny").subject)
    both = make_reference([root / "first", other], "tiny", paths)
    assert len(both.runs) == 2 and both.runs[1]["seed"] == 3 and "difference of the two" in both.spread_rule
