"""The figures of all layers in, one chart for each way to measure out, baselines as horizontal lines."""

from collections.abc import Sequence

from markupsafe import Markup

from espnet2.evaluate.measure import Kind, Measure
from espnet2.evaluate.report.bars import Bar, bar_chart
from espnet2.evaluate.report.chart import Level, Series, line_chart
from espnet2.evaluate.report.measures import KINDS

STYLES = {"model": "s1", "untrained": "untrained", "mfcc": "mfcc", "logmel": "logmel", "codes": "codes"}


def layer_charts(measures: Sequence[Measure]) -> Markup:
    """Lines over the layers where the model was measured on several, else bars."""
    found = []
    for kind in KINDS.values():
        own = [each for each in measures if each.kind == kind]
        layers = {each.layer for each in own if each.system == "model" and each.layer}
        found.append(_lines(kind, own) if len(layers) > 1 else _bars(kind, own))
    return Markup("").join(found)


def _direction(kind: Kind) -> str:
    return "higher is better" if kind.higher_is_better else "lower is better"


def _scaled(kind: Kind, value: float) -> float:
    return 100 * value if kind.as_percent else value


def _bounds(kind: Kind, measure: Measure) -> tuple[float, float] | None:
    """The interval on the scale of a chart, where it is known."""
    if measure.low is None or measure.high is None:
        return None
    return _scaled(kind, measure.low), _scaled(kind, measure.high)


def _lines(kind: Kind, measures: Sequence[Measure]) -> Markup:
    series, levels = [], []
    for system in dict.fromkeys(each.system for each in measures):
        layered = [(each.layer, each) for each in measures if each.system == system and each.layer]
        layered.sort(key=lambda pair: pair[0])
        own = [each for _, each in layered]
        flat = [each for each in measures if each.system == system and not each.layer]
        levels += [
            Level(_name(each), _scaled(kind, each.value), STYLES[system], *(_bounds(kind, each) or (None, None)))
            for each in flat
        ]
        if len(own) > 1 and system != "codes":
            band = [bounds for each in own if (bounds := _bounds(kind, each)) is not None]
            curve = [(layer, _scaled(kind, each.value)) for layer, each in layered]
            whole = band if len(band) == len(own) else ()
            series.append(
                Series(own[0].title, curve, STYLES[system], dots=True, dashed=system == "untrained", band=whole)
            )
        else:
            levels += [Level(_name(each), _scaled(kind, each.value), STYLES[system]) for each in own if each.best]
    unit = ", %" if kind.as_percent else ""
    order = sorted(series, key=lambda each: each.style != "s1")
    return line_chart(
        f"{kind.title}{unit}", order, levels, x_label="layer", note=f"{kind.question}; {_direction(kind)}"
    )


def _name(measure: Measure) -> str:
    """A system that is drawn as one line or bar, and which layer it is of."""
    mixed = measure.kind.mixes_layers and measure.system in ("model", "untrained")
    where = measure.where or ("mix of layers" if mixed else "")
    return f"{measure.title}, {where}" if where else measure.title


def _bars(kind: Kind, measures: Sequence[Measure]) -> Markup:
    best = sorted((each for each in measures if each.best), key=lambda each: each.system != "model")
    bars = [
        Bar(
            _name(each),
            _scaled(kind, each.value),
            each.text,
            STYLES[each.system],
            *(_bounds(kind, each) or (None, None)),
        )
        for each in best
    ]
    unit = "%" if kind.as_percent else ""
    return bar_chart(kind.title, bars, note=f"{kind.question}; {_direction(kind)}", x_label=unit)
