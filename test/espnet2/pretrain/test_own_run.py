"""Validations of a run without reference curves in; its lights beside guessing and beside its own start out."""

import pytest

from espnet2.pretrain.own_run import OwnRun
from espnet2.pretrain.reference import Subject
from espnet2.pretrain.traffic_light import TrafficLight
from espnet2.ssl.chance import Chance
from espnet2.train.state import Validation

GUESSING = Chance("loss_masked", 4.44, "the entropy of the labels", "masked_accuracy", 0.037, "the top label")


def own_run(target_moves: bool = False) -> OwnRun:
    return OwnRun(lambda figures: [GUESSING], 290, target_moves)


def validation(update: int, loss: float, **figures: float) -> Validation:
    return Validation(update, {}, {"loss": loss, "loss_masked": loss, **figures})


def lights(run: OwnRun, *validations: Validation, initial: dict[str, float] | None = None) -> list[tuple]:
    return [(row.update, row.beside, row.light) for row in run.judge(validations, initial or {})]


@pytest.mark.parametrize(
    ("loss", "light"),
    [(4.30, "green"), (4.37, "green"), (4.40, "yellow"), (4.44, "red"), (4.54, "red"), (float("nan"), "red")],
)
def test_loss_beside_guessing(loss, light):
    assert lights(own_run(), validation(500, loss)) == [(500, "guessing", light)]


def test_no_loss_is_judged_during_the_warm_up():
    assert lights(own_run(), validation(250, 4.6)) == []


@pytest.mark.parametrize(("value", "light"), [(0.44, "green"), (0.43, "yellow"), (0.27, "yellow"), (0.26, "red")])
def test_probe_beside_what_it_found_before_the_first_update(value, light):
    rows = lights(own_run(), validation(100, 4.0, probe_pnmi=value), initial={"probe_pnmi": 0.44})
    assert rows == [(100, "before the first update", light)]
    assert lights(own_run(), validation(100, 4.0, probe_pnmi=value), initial={"probe_pnmi": 0.01}) == [], "noise"


@pytest.mark.parametrize(("loss", "light"), [(3.9, "green"), (4.1, "green"), (4.2, "yellow"), (4.3, "red")])
def test_loss_beside_the_first_validation(loss, light):
    assert lights(own_run(), validation(100, 4.0), validation(200, loss)) == [(200, "at update 100", light)]
    assert lights(own_run(target_moves=True), validation(100, 4.0), validation(200, loss)) == []


def test_the_light_says_what_it_compares_with(tmp_path):
    subject = Subject({}, {}, {}, 1000)
    light = TrafficLight.open(tmp_path, subject, "auto", None, own_run())
    assert light.describe() == (
        "traffic light: none, as no curves come with this config; against guessing, from update 290 on, and against "
        "the start of this run instead"
    )
    line, worst = light.look([validation(500, 4.54, probe_pnmi=0.40)], {"probe_pnmi": 0.44})
    assert worst == "red"
    assert line == (
        "traffic light at update 500: loss_masked 4.540, guessing 4.440: red; "
        "probe_pnmi 0.400, before the first update 0.440: yellow"
    )
    switched_off = TrafficLight.open(tmp_path, subject, "none", None, own_run())
    assert switched_off.look([validation(500, 4.54)], {}) == ("", "") and "instead" not in switched_off.describe()
