"""Rows of the parts in; the figures that stand for each system, and what counts as a clear difference, out."""

import pytest
from evaluated import abx_part, probes_part, unit_row, units_part

from espnet2.evaluate.measure import ONE_SEED_MARGIN, Against
from espnet2.evaluate.report.measures import comparisons, headline, measures_of


def parts(**changes):
    return {"units": units_part(), "abx": abx_part(), "probes": probes_part(), **changes}


def test_the_layer_that_was_chosen_on_train_speaks_for_its_system():
    units = units_part()
    units["rows"][4]["valid"] = {**units["rows"][4]["valid"], "pnmi": 0.9}  # better on valid, but not chosen
    measure = headline(measures_of(parts(units=units)), "pnmi")
    assert (measure.layer, measure.value, measure.text) == (1, 0.65, "0.650 ± 0.004")


def test_abx_is_angular_and_continuous_and_one_for_each_mode():
    part = abx_part()
    for row in part["rows"]:
        row["error_rate"] += 0.2 * (row["distance"] != "angular")
    measures = measures_of({"abx": part})
    assert len(measures) == 4
    measure = headline(measures, "abx_across")
    assert measure.value == 0.08 and measure.text == "8.0 % ± 1.0"
    for row in part["rows"]:
        row["low"] = 0.05
    assert headline(measures_of({"abx": part}), "abx_within").text == "8.0 % ± 2.0"


def test_a_learned_mix_of_layers_stands_before_single_layers():
    measure = headline(measures_of(parts()), "probe_phone")
    assert measure.layer is None and measure.value == 0.7 and measure.text == "70.0 %"  # one seed has no spread


@pytest.mark.parametrize(
    ("other", "verdict"), [(0.641, "better"), (0.643, "equal"), (0.657, "equal"), (0.659, "worse")]
)
def test_a_difference_is_clear_beyond_both_spreads(other, verdict):
    measures = measures_of({"units": units_part(model=0.65, mfcc=other)})
    against = Against(headline(measures, "pnmi"), headline(measures, "pnmi", "mfcc"))
    assert against.verdict == verdict


def test_a_lower_error_is_better():
    measures = measures_of({"abx": abx_part(model=0.2, mfcc=0.1)})
    comparison_with = {comparison.baseline.system: comparison for comparison in comparisons(measures)}
    assert comparison_with["mfcc"].verdict == "worse" and comparison_with["mfcc"].gain == pytest.approx(-0.1)


def test_without_spread_a_stated_margin_decides():
    part = units_part(model=0.65, mfcc=0.65 - 0.9 * ONE_SEED_MARGIN)
    for row in part["rows"]:
        row["seeds"] = [0]
    measures = measures_of({"units": part})
    assert headline(measures, "pnmi").low is None
    assert [comparison.verdict for comparison in comparisons(measures)] == ["equal", "better"]


def test_without_phones_there_is_no_figure():
    part = units_part() | {"rows": [unit_row("mfcc", None, None), unit_row("model", 1, None)]}
    assert measures_of({"units": part}) == []
