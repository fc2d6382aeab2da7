"""Shares of phones in each unit in, a picture with their names out."""

import json
from typing import TypedDict

from markupsafe import Markup

from espnet2.evaluate.report.raster import heat_map_png

ROW = 13  # of the viewBox, one phone: its name is readable
LEFT, TOP, BOTTOM = 44, 4, 24
COLUMN_RANGE = (2, 10)  # of one unit
USUAL_WIDTH, LEAST_WIDTH = 1000, 340  # of all units; of the text below them


class HeatMapJson(TypedDict):
    """Shares of phones in each unit, as eval/units.json has them."""

    phones: list[str]  # symbols
    units: list[int]  # ids
    p_phone_given_unit: list[list[float]]  # a list for each unit


def heat_map(title: str, content: HeatMapJson) -> Markup:
    """Phones downwards, units to the right, as opaque as the phone is frequent in the unit; may be empty."""
    phones, units, shares = content["phones"], content["units"], content["p_phone_given_unit"]
    if not phones or not units:
        return Markup("")
    by_phone = [[shares[unit][phone] for unit in range(len(units))] for phone in range(len(phones))]
    column = min(max(USUAL_WIDTH // len(units), COLUMN_RANGE[0]), COLUMN_RANGE[1])
    width, height = LEFT + max(column * len(units) + 4, LEAST_WIDTH), TOP + ROW * len(phones) + BOTTOM
    names = [
        Markup('<text class="tick y" x="{}" y="{}">{}</text>').format(LEFT - 6, TOP + ROW * row + 10, phone)
        for row, phone in enumerate(phones)
    ]
    label = f"{title}: share of each of {len(phones)} phones in each of {len(units)} units; a clear diagonal is good"
    data = {
        "phones": phones,
        "units": units,
        "percent": [[round(100 * share) for share in row] for row in by_phone],
        "box": [LEFT, TOP, column, ROW],
    }
    return Markup(
        '<figure class="wide"><figcaption>{}</figcaption><div class="scroll" tabindex="0">'
        '<svg class="heat" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{label}" '
        'data-heat="{data}"><rect class="plate" x="{x}" y="{y}" width="{iw}" height="{ih}"/>'
        '<image href="{src}" x="{x}" y="{y}" width="{iw}" height="{ih}" '
        'preserveAspectRatio="none"/>{names}<text class="tick" x="{x}" y="{ly}">{n} units, ordered by the phone they '
        "mean most</text></svg></div></figure>"
    ).format(
        title,
        w=width,
        h=height,
        label=label,
        data=json.dumps(data, separators=(",", ":"), ensure_ascii=False),
        x=LEFT,
        y=TOP,
        iw=column * len(units),
        ih=ROW * len(phones),
        src=heat_map_png(by_phone),
        names=Markup("").join(names),
        ly=height - 8,
        n=len(units),
    )
