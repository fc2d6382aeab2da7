"""What the report shows of eval/abx.json: its measures and its table."""

from collections.abc import Sequence

from markupsafe import Markup

from espnet2.evaluate.abx.items import ItemCountsJson
from espnet2.evaluate.abx.row import AbxRow, AbxRowJson
from espnet2.evaluate.measure import Kind, Measure
from espnet2.evaluate.part import PartJson
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


def abx_measures(rows: Sequence[AbxRow]) -> list[Measure]:
    """Angular distance of continuous features: the one that papers report (ZeroSpeech 2021)."""
    measures = []
    for row in rows:
        compared = row.compared
        if compared.features == "continuous" and compared.distance == "angular":
            owner = (KINDS[compared.mode], row.system, row.title, row.layer)
            measures.append(Measure(*owner, compared.error_rate, compared.low, compared.high))
    return measures


def abx_table(rows: Sequence[AbxRow]) -> Markup:
    """Every distance and kind of features."""
    cells = [
        [
            row.title,
            row.layer or "–",
            row.compared.features,
            row.compared.distance,
            f"{row.compared.mode} speaker{'s' if row.compared.mode == 'across' else ''}",
            with_spread(row.compared.error_rate, half_width(row.compared.low, row.compared.high), as_percent=True),
            *(with_spread(bound, None, as_percent=True) for bound in (row.compared.low, row.compared.high)),
            f"{row.compared.num_triples:,}",
        ]
        for row in rows
    ]
    head = ["system", "layer", "features", "distance", "mode", "error", "95 % from", "to", "triples"]
    return table(head, cells, numeric=[1, 5, 6, 7, 8])


class _AbxJson(PartJson):
    rows: list[AbxRowJson]
    subsampling: str  # the rules in words, as the next
    interval: str


class AbxJson(_AbxJson, total=False):
    """The content of eval/abx.json."""

    items: ItemCountsJson  # where there are alignments


def read_rows(result: AbxJson) -> list[AbxRow]:
    """The rows of the content of eval/abx.json."""
    return [AbxRow.read(row) for row in result.get("rows", [])]
