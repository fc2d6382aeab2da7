"""A few figures with intervals in, an SVG chart with one line of text and one bar for each out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from espnet2.evaluate.report.chart import nice_ticks, tick_labels, x_tick

WIDTH, ROW, TOP, BOTTOM, SIDE = 400, 40, 4, 34, 12  # of the viewBox


@dataclass(frozen=True)
class Bar:
    """One figure."""

    name: str
    value: float
    text: str  # the value as people read it
    style: str  # a class of style.css that sets its colour
    low: float | None = None
    high: float | None = None


def bar_chart(title: str, bars: Sequence[Bar], *, note: str = "", x_label: str = "") -> Markup:
    """A figure with caption and bars from zero; empty where there are none."""
    if not bars:
        return Markup("")
    ticks = nice_ticks(0.0, max(max(bar.value, bar.high or 0.0) for bar in bars), 5)
    height = TOP + ROW * len(bars) + BOTTOM

    def to_x(value: float) -> float:
        return round(SIDE + value / ticks[-1] * (WIDTH - 2 * SIDE), 1)

    rows = [_row(bar, TOP + ROW * number, to_x) for number, bar in enumerate(bars)]
    grid = [
        Markup('<path class="grid" d="M{} {}V{}"/>{}').format(
            to_x(tick), TOP, height - BOTTOM, x_tick(to_x(tick), height - BOTTOM + 15, label, WIDTH)
        )
        for tick, label in zip(ticks, tick_labels(ticks), strict=True)
    ]
    label = f"{title}: {'; '.join(f'{bar.name} {bar.text}' for bar in bars)}"
    return Markup(
        '<figure class="chart bars"><figcaption>{}{}</figcaption>'
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}'
        '<text class="tick x" x="{}" y="{}">{}</text></svg></figure>'
    ).format(
        title,
        Markup("<small>{}</small>").format(note) if note else "",
        WIDTH,
        height,
        label,
        Markup("").join(grid),
        Markup("").join(rows),
        WIDTH / 2,
        height - 3,
        x_label,
    )


def _row(bar: Bar, top: float, to_x: Callable[[float], float]) -> Markup:
    """Name and value above, the bar below, its interval as a thin line."""
    middle = top + 29
    interval = Markup("")
    if bar.low is not None and bar.high is not None:
        interval = Markup('<path class="interval" d="M{0} {2}H{1}M{0} {3}V{4}M{1} {3}V{4}"/>').format(
            to_x(max(bar.low, 0.0)), to_x(bar.high), middle, middle - 4, middle + 4
        )
    return Markup(
        '<g class="{}"><text class="name" x="{}" y="{}">{}</text><text class="value" x="{}" y="{}">{}</text>'
        '<rect class="bar" x="{}" y="{}" width="{}" height="12" rx="2"/>{}</g>'
    ).format(
        bar.style,
        SIDE,
        top + 17,
        bar.name,
        WIDTH - SIDE,
        top + 17,
        bar.text,
        SIDE,
        middle - 6,
        max(to_x(bar.value) - SIDE, 1.0),
        interval,
    )
