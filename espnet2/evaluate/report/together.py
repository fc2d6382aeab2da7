"""The parts of an evaluation of several models in, one table with a row of each, baselines first, out."""

from collections.abc import Mapping

from espnet2.evaluate.measure import ONE_SEED_MARGIN, Against, Measure
from espnet2.evaluate.part import PartJson
from espnet2.evaluate.report.measures import KINDS, measures_of, rules_of
from espnet2.evaluate.spread import MEANING
from espnet2.utils.show import table_row

REFERENCE = ("mfcc", "MFCC")  # what every row is compared with
SIGNS = {"better": " ▲", "worse": " ▼", "equal": ""}
LEGEND = (
    "Held-out data; each system with the layer whose units are best on the training set, the phone probe with a "
    f"learned mix of layers. ▲ clearly better than MFCC, ▼ clearly worse: beyond both spreads together, or beyond "
    f"{ONE_SEED_MARGIN:g} where there is one seed. {MEANING}."
)


def table_of_systems(parts: Mapping[str, PartJson]) -> str:
    """Markdown: one row per system and title, one column per kind of figure that any of them has.

    Args:
        parts: name -> content of eval/<name>.json.
    """
    measures = [measure for measure in measures_of(parts) if measure.best]
    measure_of = {((measure.system, measure.title), measure.kind.key): measure for measure in measures}
    kinds = [key for key in KINDS if any(measure.kind.key == key for measure in measures)]
    rules = {key: "; ".join(rules_of(measures, key)) for key in kinds}
    titles = [KINDS[key].title + (f" ({rules[key]})" if rules[key] else "") for key in kinds]
    lines = [LEGEND, "", table_row(["system", *titles]), f"|---|{'--:|' * len(kinds)}"]
    for name in dict.fromkeys((measure.system, measure.title) for measure in measures):
        cells = [_cell(measure_of.get((name, key)), measure_of.get((REFERENCE, key))) for key in kinds]
        lines.append(table_row([name[1], *cells]))
    return "\n".join(lines) + "\n"


def _cell(measure: Measure | None, reference: Measure | None) -> str:
    if measure is None:
        return "-"
    sign = SIGNS[Against(measure, reference).verdict] if reference and measure is not reference else ""
    where = f" ({measure.where})" if measure.where else ""
    return f"{measure.text}{where}{sign}"
