"""The content of eval/abx.json in, its measures and its table of the report out."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from espnet2.evaluate.measure import Kind, Measure, measure_of
from espnet2.evaluate.report.page import table
from espnet2.evaluate.spread import half_width, with_spread

KINDS = {
    "within": Kind(
        "abx_within",
        "ABX error within speaker",
        "how often a sound is nearer to another phone's than to its own, by one voice; 50 % is guessing",
        False,
        True,
    ),
    "across": Kind(
        "abx_across",
        "ABX error across speakers",
        "the same, where the sounds to be told apart come from two voices",
        False,
        True,
    ),
}


def abx_measures(part: Mapping[str, Any]) -> list[Measure]:
    """Angular distance of continuous features: the one that papers report (ZeroSpeech 2021)."""
    return [
        measure_of(KINDS[row["mode"]], row, row["error_rate"], row.get("low"), row.get("high"))
        for row in part.get("rows", [])
        if row.get("features") == "continuous" and row.get("distance") == "angular"
    ]


def abx_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Every distance and kind of features."""
    cells = [
        [
            row["title"],
            row["layer"] or "–",
            row["features"],
            row["distance"],
            f"{row['mode']} speaker{'s' if row['mode'] == 'across' else ''}",
            with_spread(row["error_rate"], half_width(row["low"], row["high"]), as_percent=True),
            *(with_spread(row[name], None, as_percent=True) for name in ("low", "high")),
            f"{row['num_triples']:,}",
        ]
        for row in rows
    ]
    head = ["system", "layer", "features", "distance", "mode", "error", "95 % from", "to", "triples"]
    return table(head, cells, numeric=[1, 5, 6, 7, 8])
