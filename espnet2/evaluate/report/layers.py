"""The figures of all layers in, one chart for each way to measure out, baselines as horizontal lines."""

from collections.abc import Sequence

from markupsafe import Markup

from espnet2.evaluate.measure import Kind, Measure
from espnet2.evaluate.report.bars import Bar, bar_chart
from espnet2.evaluate.report.chart import Level, Series, line_chart
from espnet2.evaluate.report.measures import KINDS, headline, rules_of

STYLES = {"model": "s1", "untrained": "untrained", "mfcc": "mfcc", "logmel": "logmel", "codes": "codes"}


def layer_charts(measures: Sequence[Measure]) -> Markup:
    """Lines over the layers where the model was measured on several, else bars."""
    drawn = []
    for kind in KINDS.values():
        of_kind = [measure for measure in measures if measure.kind == kind]
        layers = {measure.layer for measure in of_kind if measure.system == "model" and measure.layer}
        model = headline(of_kind, kind.key)
        items = [model.items] if model and model.items else []
        note = "; ".join([kind.note, *rules_of(of_kind, kind.key), *items])
        drawn.append(_lines(kind, of_kind, note) if len(layers) > 1 else _bars(kind, of_kind, note))
    return Markup("").join(drawn)


def _bounds(kind: Kind, measure: Measure) -> tuple[float, float] | None:
    """The interval on the scale of a chart, where it is known."""
    if measure.low is None or measure.high is None:
        return None
    return kind.scaled(measure.low), kind.scaled(measure.high)


def _lines(kind: Kind, measures: Sequence[Measure], note: str) -> Markup:
    series, levels = [], []
    for system in dict.fromkeys(measure.system for measure in measures):
        layered = [(measure.layer, measure) for measure in measures if measure.system == system and measure.layer]
        layered.sort(key=lambda pair: pair[0])
        of_layers = [measure for _, measure in layered]
        flat = [measure for measure in measures if measure.system == system and not measure.layer]
        levels += [
            Level(_name(measure), kind.scaled(measure.value), STYLES[system], *(_bounds(kind, measure) or (None, None)))
            for measure in flat
        ]
        if len(of_layers) > 1 and system != "codes":
            band = [bounds for measure in of_layers if (bounds := _bounds(kind, measure)) is not None]
            curve = [(layer, kind.scaled(measure.value)) for layer, measure in layered]
            whole = band if len(band) == len(of_layers) else ()
            series.append(
                Series(of_layers[0].title, curve, STYLES[system], dots=True, dashed=system == "untrained", band=whole)
            )
        else:
            levels += [
                Level(_name(measure), kind.scaled(measure.value), STYLES[system])
                for measure in of_layers
                if measure.best
            ]
    order = sorted(series, key=lambda curve: curve.style != "s1")
    return line_chart(kind.chart_title, order, levels, x_label="layer", note=note)


def _name(measure: Measure) -> str:
    """A system that is drawn as one line or bar, and which layer it is of."""
    mixed = measure.kind.mixes_layers and measure.system in ("model", "untrained")
    where = measure.where or ("mix of layers" if mixed else "")
    return f"{measure.title}, {where}" if where else measure.title


def _bars(kind: Kind, measures: Sequence[Measure], note: str) -> Markup:
    best = sorted((measure for measure in measures if measure.best), key=lambda measure: measure.system != "model")
    bars = [
        Bar(
            _name(measure),
            kind.scaled(measure.value),
            measure.text,
            STYLES[measure.system],
            *(_bounds(kind, measure) or (None, None)),
        )
        for measure in best
    ]
    return bar_chart(kind.title, bars, note=note, x_label=kind.unit)
