"""What the report shows of eval/abx.json: its measures and its table."""

from collections.abc import Sequence

from markupsafe import Markup

from espnet2.evaluate.abx.items import ItemCountsJson, Items, summary
from espnet2.evaluate.abx.row import AbxRow, AbxRowJson
from espnet2.evaluate.abx.rule import Rule
from espnet2.evaluate.measure import Kind, Measure
from espnet2.evaluate.part import PartJson
from espnet2.evaluate.report.page import table
from espnet2.evaluate.spread import half_width, with_spread

KINDS = {
    ("triphone-within", "within"): Kind(
        "abx_within",
        "ABX error within speaker",
        "how often a sound is nearer to another phone's than to its own, by one voice; 50 % is guessing",
        False,
        True,
    ),
    ("triphone-within", "across"): Kind(
        "abx_across",
        "ABX error across speakers",
        "the same, where the sounds to be told apart come from two voices",
        False,
        True,
    ),
    **{
        (f"phoneme-{context}", mode): Kind(
            f"abx_phoneme_{context}_{mode}",
            f"ABX error of phonemes, {context} context, {mode} speaker{'s' * (mode == 'across')}",
            f"the same of phones without their neighbours, {where}",
            False,
            True,
        )
        for context, where in (("within", "between the same two phones"), ("any", "between whatever phones"))
        for mode in ("within", "across")
    },
}


def abx_measures(rows: Sequence[AbxRow]) -> list[Measure]:
    """Angular distance of continuous features: the one that papers report (ZeroSpeech 2021).

    Of several files of the same condition the first speaks for the model; the table has all.
    """
    measures = []
    first: dict[str, str] = {}
    for row in rows:
        compared = row.compared
        is_first = first.setdefault(compared.rule.condition.name, compared.rule.source) == compared.rule.source
        if compared.features == "continuous" and compared.distance == "angular" and is_first:
            kind = KINDS[compared.rule.condition.name, compared.mode]
            figures = (compared.error_rate, compared.low, compared.high)
            counts = f"{compared.num_triples:,} triples of {compared.num_phone_pairs:,} pairs of phones"
            rule = f"{compared.rule.source}, {compared.rule.clock} clock"
            measures.append(
                Measure(
                    kind, row.system, row.title, row.layer, *figures, rule=rule, items=f"{counts}, angular distance"
                )
            )
    return measures


def abx_table(rows: Sequence[AbxRow]) -> Markup:
    """Every distance and kind of features."""
    cells = [
        [
            row.title,
            row.layer or "–",
            row.compared.rule.source,
            row.compared.rule.condition.name,
            row.compared.rule.clock,
            row.compared.features,
            row.compared.distance,
            f"{row.compared.mode} speaker{'s' if row.compared.mode == 'across' else ''}",
            with_spread(row.compared.error_rate, half_width(row.compared.low, row.compared.high), as_percent=True),
            *(with_spread(bound, None, as_percent=True) for bound in (row.compared.low, row.compared.high)),
            f"{row.compared.num_triples:,}",
        ]
        for row in rows
    ]
    head = ["system", "layer", "items", "condition", "clock", "features", "distance", "mode"]
    head += ["error", "95 % from", "to", "triples"]
    return table(head, cells, numeric=[1, 8, 9, 10, 11])


class ComparisonJson(ItemCountsJson):
    """A `Rule`, and how much was compared by it."""

    source: str
    span: str
    context: str
    clock: str


def comparison_json(rule: Rule, items: Items) -> ComparisonJson:
    """The entry of one rule."""
    return {
        "source": rule.source,
        "span": rule.span,
        "context": rule.context,
        "clock": rule.clock,
        **summary(items),
    }


class _AbxJson(PartJson):
    rows: list[AbxRowJson]
    subsampling: str  # the rules in words, as the next
    interval: str


class AbxJson(_AbxJson, total=False):
    """The content of eval/abx.json."""

    items: ItemCountsJson  # where there are alignments
    comparisons: list[ComparisonJson]  # the same for each rule; `items` is the first


def read_rows(result: AbxJson) -> list[AbxRow]:
    """The rows of the content of eval/abx.json."""
    return [AbxRow.read(row) for row in result.get("rows", [])]
