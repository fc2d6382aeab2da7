"""What the report shows of eval/probes.json: its measures, its table and its chart."""

from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup

from espnet2.evaluate.measure import Kind, Measure, measure_of, seed_interval
from espnet2.evaluate.probes.row import ProbeRowJson, ProbesJson
from espnet2.evaluate.report.chart import Series, line_chart
from espnet2.evaluate.report.page import table


def _accuracy(task: str, what: str) -> Kind:
    question = f"{what} whose {task} a linear classifier names rightly"
    return Kind(f"probe_{task}", f"{task} probe", question, True, True, mixes_layers=True)


def _error_rate(figure: str, unit: str, *, in_results: bool = True) -> Kind:
    question = f"{unit}s that a small recogniser gets wrong"
    title = f"{unit} error rate of CTC"
    return Kind(f"probe_{figure}", title, question, False, True, in_results=in_results, mixes_layers=True)


ACCURACIES = {
    "phone": _accuracy("phone", "frames"),
    "speaker": _accuracy("speaker", "utterances"),
    "language": _accuracy("language", "utterances"),
}
Score = Literal["accuracy", "per", "cer", "wer"]
FIGURES: tuple[Literal["majority"] | Score, ...] = ("accuracy", "majority", "per", "cer", "wer")
COUNTS: tuple[Literal["num_train", "num_valid"], ...] = ("num_train", "num_valid")
ERROR_RATES: Mapping[Score, Kind] = {
    "per": _error_rate("per", "phone"),
    "cer": _error_rate("cer", "character", in_results=False),
    "wer": _error_rate("wer", "word"),
}


def probe_measures(part: ProbesJson) -> list[Measure]:
    """The accuracy of each classifier, and every error rate of each recogniser."""
    measures = []
    for row in part.get("rows", []):
        kinds: Mapping[Score, Kind] = ERROR_RATES if row.get("task") == "ctc" else {"accuracy": ACCURACIES[row["task"]]}
        for name, kind in kinds.items():
            value = _figure(row, name)
            if value is not None:
                low, high = seed_interval(row, value, row.get("spread", {}).get(name))
                measures.append(measure_of(kind, row, value, low, high, items=_items(row)))
    return measures


def _items(row: ProbeRowJson) -> str:
    """What was scored, by which clock, after learning on how much."""
    if "num_valid" not in row:
        return ""
    what = "frames, window clock" if row["task"] == "phone" else "utterances"
    where = f" ({row['tested_on']})" if row.get("tested_on") else ""
    return f"{row['num_valid']:,} {what}{where}, learned on {row['num_train']:,}"


def probe_table(rows: Sequence[ProbeRowJson]) -> Markup:
    """Every task, with the share that the most frequent class would give."""
    figures = [name for name in FIGURES if any(name in row for row in rows)]
    cells = [
        [
            row["title"],
            row["task"],
            row.get("layer") or "–",
            *(_percent(_figure(row, name)) for name in figures),
            *(f"{row[name]:,}" if isinstance(row.get(name), int) else "–" for name in COUNTS),
        ]
        for row in rows
    ]
    head = ["system", "task", "layer", *figures, "learned on", "scored on"]
    return table(head, cells, numeric=range(2, len(head)))


def _figure(row: ProbeRowJson, name: Literal["majority"] | Score) -> float | None:
    return row[name] if name in row else None  # noqa: SIM401 - what `get` returns of several keys has no type


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def layer_weights(probes: Sequence[ProbeRowJson]) -> Markup:
    """How much each layer counts in the learned mixes of the model's probes."""
    lines = [
        Series(
            {"ctc": "recognition (CTC)"}.get(row["task"], row["task"]),
            list(enumerate(row["layer_weights"], 1)),
            f"s{number + 1}",
            dots=True,
        )
        for number, row in enumerate(
            row for row in probes if row.get("system") == "model" and len(row.get("layer_weights") or []) > 1
        )
    ]
    title = f"layer weights, {lines[0].name}" if len(lines) == 1 else "layer weights"
    note = "how much each layer counts in the mix that a probe has learned"
    return line_chart(title, lines, x_label="layer", note=note)
