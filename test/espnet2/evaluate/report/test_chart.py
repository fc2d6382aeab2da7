"""Series in; curves at the right places of a chart, and honest axes, out."""

import re

import pytest

from espnet2.evaluate.report.bars import Bar, bar_chart
from espnet2.evaluate.report.chart import HEIGHT, MAXIMUM_POINTS, RIGHT, WIDTH, Level, Series, line_chart, thinned
from espnet2.evaluate.report.raster import heat_map_png
from espnet2.evaluate.report.utterance import runs_of


def path_of(chart, style):
    path = re.search(rf'<g class="{style}">.*?class="line" d="M([^"]*)"', chart).group(1)
    return [tuple(map(float, pair.split())) for pair in path.split("L")]


def test_points_lie_where_their_ticks_are():
    chart = line_chart("t", [Series("a", [(0, 0.0), (500, 0.5), (1000, 1.0)], "s1")], x_label="update")
    ticks = dict(re.findall(r'class="tick x" x="([\d.]+)" y="[\d.]+">([\d,]+)<', chart))
    places = {label.replace(",", ""): float(x) for x, label in ticks.items()}
    rows = {float(label): float(y) for y, label in re.findall(r'd="M[\d.]+ ([\d.]+)H.*?>([\d.]+)</text>', chart)}
    (x0, y0), (x1, y1), (x2, y2) = path_of(chart, "s1")
    assert x0 == places["0"] and x2 == WIDTH - RIGHT and x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert (y0, y2) == (rows[0.0], rows[1.0]) and y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert 0 < y2 < y0 < HEIGHT and 0 < x0 < places["200"] < x2
    assert re.search(r'class="tick end"[^>]*>1,000<', chart)  # it would leave the chart if it were centred


def test_levels_and_bands_widen_the_axis():
    chart = line_chart(
        "t", [Series("a", [(1, 0.5), (2, 0.5)], "s1")], [Level("MFCC", 0.9, "mfcc", 0.8, 1.4)], x_label="x"
    )
    assert max(float(label) for label in re.findall(r'tick y"[^>]*>([\d.]+)<', chart)) >= 1.4
    assert "MFCC" in chart and "a from 0.5 to 0.5" in chart


def test_a_chart_without_points_is_not_drawn():
    assert line_chart("t", [Series("a", [], "s1")], x_label="x") == "" and bar_chart("t", []) == ""


def test_a_single_point_and_a_constant_are_drawn():
    assert "circle" in line_chart("t", [Series("a", [(7, 0.0)], "s1", dots=True)], x_label="x")
    assert line_chart("t", [Series("a", [(1, 3.0), (9000, 3.0)], "s1")], x_label="x")


def test_thinning_keeps_the_mean_and_the_end():
    points = [(update, float(update % 7)) for update in range(100_001)]
    thin = thinned(points)
    assert len(thin) <= MAXIMUM_POINTS + 1 and thin[-1] == points[-1]
    assert sum(value for _, value in thin) / len(thin) == pytest.approx(3.0, abs=0.05)


def test_bars_are_in_proportion():
    bars = [Bar("a", 10.0, "10 %", "s1", 9.0, 11.0), Bar("b", 5.0, "5 %", "mfcc")]
    first, second = (float(width) for width in re.findall(r'class="bar"[^>]*width="([\d.]+)"', bar_chart("t", bars)))
    assert first == pytest.approx(2 * second, abs=0.2)


def test_runs_of_units():
    assert [span.name for span in runs_of([5, 5, 5, 2, 5], 50, 0.0, 1.0)] == ["5", "2", "5"]
    cut = runs_of([1, 1, 2, 2], 50, 0.0, 0.05)
    assert cut[-1].end == 0.05 and runs_of([], 50, 0.0, 1.0) == []


def test_a_heat_map_is_as_opaque_as_the_share():
    import base64
    import io

    from matplotlib.image import imread

    pixels = imread(io.BytesIO(base64.b64decode(heat_map_png([[0.0, 0.25], [1.0, 0.0]]).partition(",")[2])))
    assert pixels[..., 3].tolist() == [[0.0, pytest.approx(0.5, abs=0.01)], [1.0, 0.0]]
