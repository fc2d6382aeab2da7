"""The parts of an evaluation of several models in, one table with a row of each, baselines first, out."""

from collections.abc import Mapping
from typing import Any

from espnet2.evaluate.measure import ONE_SEED_MARGIN, Against, Measure
from espnet2.evaluate.report.measures import KINDS, measures_of
from espnet2.evaluate.spread import MEANING

REFERENCE = ("mfcc", "MFCC")  # what every row is compared with
SIGNS = {"better": " ▲", "worse": " ▼", "equal": ""}
LEGEND = (
    "Held-out data; each system with the layer whose units are best on the training set, the phone probe with a "
    f"learned mix of layers. ▲ clearly better than MFCC, ▼ clearly worse: beyond both spreads together, or beyond "
    f"{ONE_SEED_MARGIN:g} where there is one seed. {MEANING}."
)


def table_of_systems(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: one row per system and title, one column per kind of figure that any of them has.

    Args:
        parts: name -> content of eval/<name>.json.
    """
    measures = [each for each in measures_of(parts) if each.best]
    found = {((each.system, each.title), each.kind.key): each for each in measures}
    kinds = [key for key in KINDS if any(each.kind.key == key for each in measures)]
    lines = [LEGEND, "", f"| system | {' | '.join(KINDS[key].title for key in kinds)} |", f"|---|{'--:|' * len(kinds)}"]
    for name in dict.fromkeys((each.system, each.title) for each in measures):
        cells = [_cell(found.get((name, key)), found.get((REFERENCE, key))) for key in kinds]
        lines.append(f"| {name[1]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(own: Measure | None, reference: Measure | None) -> str:
    if own is None:
        return "-"
    sign = SIGNS[Against(own, reference).verdict] if reference and own is not reference else ""
    where = f" ({own.where})" if own.where else ""
    return f"{own.text}{where}{sign}"
