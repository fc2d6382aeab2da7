"""Series of numbers in, an SVG chart in the colours of the page out: drawn without scripts, described in words."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 400, 230  # of the viewBox; text is readable where a chart is 300 pixels wide or more
RIGHT, TOP, BOTTOM = 12, 10, 36
LEFT_LEAST, CHARACTER = 34, 7.6  # room for the numbers of the y axis, units of the viewBox
MAXIMUM_POINTS = 400  # of one curve: more than a screen shows
X_TICKS, Y_TICKS = 5, 5


@dataclass(frozen=True)
class Series:
    """One curve, and how it looks."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str  # a class of style.css that sets its colour: s1 ... s8, mfcc, untrained, ...
    dots: bool = False  # a mark at every point
    dashed: bool = False
    band: Sequence[tuple[float, float]] = ()  # (low, high) at each point


@dataclass(frozen=True)
class Level:
    """A horizontal line across the chart: something that does not depend on x."""

    name: str
    value: float
    style: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Axes:
    """From figures to places in the viewBox."""

    x_ticks: list[float]
    y_ticks: list[float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @property
    def left(self) -> float:
        """Where the y axis is: right of its longest number."""
        return max(LEFT_LEAST, 10 + CHARACTER * max(map(len, tick_labels(self.y_ticks))))

    def x(self, value: float) -> float:
        low, high = self.x_range
        return round(self.left + (value - low) / (high - low) * (WIDTH - self.left - RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)


def nice_ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    from matplotlib.ticker import MaxNLocator  # slow to import

    if low == high:
        low, high = (low - 0.5, high + 0.5) if low == 0 or whole else (low - abs(low) / 2, high + abs(high) / 2)
    return [float(tick) for tick in MaxNLocator(count, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """All with as many decimals as the finest of them needs.

    >>> tick_labels([0.0, 0.25, 0.5]), tick_labels([0, 1000, 2000]), tick_labels([0, 25000, 50000])
    (['0', '0.25', '0.50'], ['0', '1,000', '2,000'], ['0', '25k', '50k'])
    """
    largest = max(map(abs, ticks))
    size, unit = (1e6, "M") if largest >= 2e6 else (1e3, "k") if largest >= 2e4 else (1.0, "")
    decimals = max(len(f"{tick / size:.7f}".rstrip("0").partition(".")[2]) for tick in ticks)
    return [f"{tick / size:,.{decimals}f}{unit}" if tick else "0" for tick in ticks]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours where there are more points than a screen shows; the last point stays itself."""
    size = math.ceil(len(points) / MAXIMUM_POINTS)
    if size <= 1:
        return list(points)
    parts = [points[first : first + size] for first in range(0, len(points), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts[:-1]] + [points[-1]]


def line_chart(
    title: str,
    series: Sequence[Series],
    levels: Sequence[Level] = (),
    *,
    x_label: str,
    note: str = "",
    whole_x: bool = True,
) -> Markup:
    """A figure with caption, chart and legend; empty where no series has a point.

    Args:
        series: the first is drawn above the others.
        note: what the figure means, in words.
    """
    series = [
        curve if curve.band else Series(curve.name, thinned(curve.points), curve.style, curve.dots, curve.dashed)
        for curve in series
        if curve.points
    ]
    if not series:
        return Markup("")
    axes = _axes(series, levels, whole_x)
    curves: list[dict[str, object]]
    curves = [{"name": curve.name, "style": curve.style, "points": _rounded(curve.points)} for curve in series]
    curves += [{"name": level.name, "style": level.style, "level": level.value} for level in levels]
    data = {
        "x": x_label,
        "range": axes.x_range,
        "left": axes.left,
        "right": WIDTH - RIGHT,
        "width": WIDTH,
        "series": curves,
    }
    drawn = Markup("").join(
        [*(_level(level, axes) for level in levels), *(_curve(curve, axes) for curve in reversed(series))]
    )
    return Markup(
        '<figure class="chart"><figcaption>{title}{note}</figcaption>'
        '<svg viewBox="0 0 {w} {h}" role="img" aria-label="{label}" data-chart="{data}">{frame}{drawn}</svg>{legend}'
        "</figure>"
    ).format(
        title=title,
        note=Markup("<small>{}</small>").format(note) if note else "",
        w=WIDTH,
        h=HEIGHT,
        label=_description(title, series, levels),
        data=json.dumps(data, separators=(",", ":")),
        frame=_frame(axes, x_label),
        drawn=drawn,
        legend=_legend(series, levels),
    )


def _rounded(points: Sequence[tuple[float, float]]) -> list[list[float]]:
    return [[x, float(f"{y:.5g}")] for x, y in points]


def _axes(series: Sequence[Series], levels: Sequence[Level], whole_x: bool) -> Axes:
    xs = [x for curve in series for x, _ in curve.points]
    ys = [y for curve in series for _, y in curve.points] + [y for curve in series for pair in curve.band for y in pair]
    ys += [y for level in levels for y in (level.value, level.low, level.high) if y is not None]
    few = whole_x and max(xs) - min(xs) <= X_TICKS + 2
    x_ticks = sorted(set(xs)) if few else nice_ticks(0.0 if min(xs) > 0 else min(xs), max(xs), X_TICKS)
    margin = 0.35 if few and max(xs) - min(xs) < 3 else 0.15 if few else 0.0
    first = 0.0 if not few and 0 < min(xs) < max(xs) / 5 else min(xs)  # a training begins at update 0
    x_range = (first - margin, max(xs) + (margin or 1e-9))
    y_ticks = nice_ticks(min(ys), max(ys), Y_TICKS)
    inside = [tick for tick in x_ticks if x_range[0] <= tick <= x_range[1]]
    return Axes(inside, y_ticks, x_range, (y_ticks[0], y_ticks[-1]))


def _frame(axes: Axes, x_label: str) -> Markup:
    lines = [
        Markup('<path class="grid" d="M{} {}H{}"/><text class="tick y" x="{}" y="{}">{}</text>').format(
            axes.left, axes.y(tick), WIDTH - RIGHT, axes.left - 6, axes.y(tick) + 4, label
        )
        for tick, label in zip(axes.y_ticks, tick_labels(axes.y_ticks), strict=True)
    ]
    lines += [
        x_tick(axes.x(tick), HEIGHT - BOTTOM + 16, label, WIDTH)
        for tick, label in zip(axes.x_ticks, tick_labels(axes.x_ticks), strict=True)
    ]
    middle = (axes.left + WIDTH - RIGHT) / 2
    lines.append(Markup('<text class="tick x" x="{}" y="{}">{}</text>').format(middle, HEIGHT - 4, x_label))
    return Markup("").join(lines)


def x_tick(x: float, y: float, label: str, width: float) -> Markup:
    """The number below a place of the x axis; where it would leave the chart it ends there."""
    leaves = x + CHARACTER * len(label) / 2 > width
    anchor = ("end", width - 1) if leaves else ("x", x)
    return Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(*anchor, y, label)


def _curve(series: Series, axes: Axes) -> Markup:
    places = [(axes.x(x), axes.y(y)) for x, y in series.points]
    line = "M" + "L".join(f"{x} {y}" for x, y in places)
    band = Markup("")
    if series.band and len(places) > 1:
        top = [f"{x} {axes.y(high)}" for (x, _), (_, high) in zip(places, series.band, strict=True)]
        bottom = [f"{x} {axes.y(low)}" for (x, _), (low, _) in zip(places, series.band, strict=True)]
        band = Markup('<path class="band" d="M{}Z"/>').format("L".join([*top, *reversed(bottom)]))
    dots = [Markup('<circle cx="{}" cy="{}" r="3"/>').format(x, y) for x, y in places] if series.dots else []
    dash = " dashed" if series.dashed else ""
    return Markup('<g class="{}{}">{}<path class="line" d="{}"/>{}</g>').format(
        series.style, dash, band, line, Markup("").join(dots)
    )


def _level(level: Level, axes: Axes) -> Markup:
    band = Markup("")
    if level.low is not None and level.high is not None:
        top = axes.y(level.high)
        band = Markup('<rect class="band" x="{}" y="{}" width="{}" height="{}"/>').format(
            axes.left, top, WIDTH - axes.left - RIGHT, round(axes.y(level.low) - top, 1)
        )
    return Markup('<g class="{} level">{}<path class="line" d="M{} {}H{}"/></g>').format(
        level.style, band, axes.left, axes.y(level.value), WIDTH - RIGHT
    )


def _legend(series: Sequence[Series], levels: Sequence[Level]) -> Markup:
    """Names with a piece of each line; a single curve needs none."""
    if len(series) + len(levels) < 2:
        return Markup("")
    entries = [(curve.name, curve.style, "dashed" if curve.dashed else "", curve.dots) for curve in series]
    entries += [(level.name, level.style, "level", False) for level in levels]
    items = [
        Markup(
            '<li class="{} {}"><svg viewBox="0 0 24 10" aria-hidden="true"><path class="line" d="M1 5H23"/>{}</svg>'
            "{}</li>"
        ).format(style, dash, Markup('<circle cx="12" cy="5" r="3"/>') if dots else "", name)
        for name, style, dash, dots in entries
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _description(title: str, series: Sequence[Series], levels: Sequence[Level]) -> str:
    """What somebody who does not see the chart is told."""
    parts = [f"{curve.name} from {curve.points[0][1]:.4g} to {curve.points[-1][1]:.4g}" for curve in series]
    parts += [f"{level.name} {level.value:.4g}" for level in levels]
    return f"{title}: {'; '.join(parts)}"
