"""What the report shows of eval/units.json: its measures and its section."""

from pathlib import Path

from markupsafe import Markup

from espnet2.evaluate.measure import Kind, Measure, measure_of, seed_interval
from espnet2.evaluate.report.heatmap import heat_map
from espnet2.evaluate.report.page import NOT_EVALUATED, Section, folded, remark, table
from espnet2.evaluate.units.figures import LABEL_FIGURES, PHONE_FIGURES
from espnet2.evaluate.units.row import UnitsJson
from espnet2.evaluate.units.table import HEADS, best_rows, show

PNMI = Kind("pnmi", "PNMI", "how much of the phone a unit tells, from 0 (nothing) to 1 (all)", True, False)


def units_measures(part: UnitsJson) -> list[Measure]:
    """PNMI of every layer that was compared with phones; the layer that was chosen is the best."""
    measures = []
    for row in part.get("rows", []):
        valid = row.get("valid")
        if valid and valid.get("pnmi") is not None:
            low, high = seed_interval(row, valid["pnmi"], valid.get("spread", {}).get("pnmi"))
            is_best = bool(row.get("best"))
            measures.append(measure_of(PNMI, row, valid["pnmi"], low, high, best=is_best, items=_items(part)))
    return measures


def _items(part: UnitsJson) -> str:
    """Set, frames, clock and number of units."""
    valid = part.get("valid")
    if not valid:
        return ""
    frames = f"{valid['num_frames']:,} frames of {Path(valid['set']).name} at {part['frame_rate']:g} per second"
    return f"{frames}, window clock, silence included, K = {part['num_clusters']}"


def units_section(part: UnitsJson | None) -> Section:
    """What the units of the layer that was chosen are worth, and which phones they mean."""
    missing_text = NOT_EVALUATED if part is None else "The evaluation of the units has no rows."
    if part is None or not part["rows"]:
        return Section("units", "Units and phones", Markup(""), missing_text, short="Units")
    rows = best_rows(part["rows"])
    figures = [*(PHONE_FIGURES if "pnmi" in rows[0]["valid"] else ()), *LABEL_FIGURES]
    several = len(part.get("seeds") or []) > 1
    head = ["units", "layer", "K", *(HEADS.get(name, name.replace("_", " ")) for name in figures)]
    cells = [
        [row["title"], row["layer"] or "–", row["K"], *(show(row["valid"], name, spread=several) for name in figures)]
        for row in rows
    ]
    shown = table(head, cells, numeric=range(1, len(head)), caption=_measured_on(part))
    maps = [
        folded(
            f"What the units of {row['title']}, layer {row['layer']}, mean",
            heat_map("Share of each phone in each unit", row["heatmap"]),
            is_open=row["system"] == "model",
        )
        for row in rows
        if row.get("heatmap")
    ]
    none = remark("There is no heat map of units and phones: no row of the model was compared with phones.")
    return Section("units", "Units and phones", shown + (Markup("").join(maps) or none), short="Units")


def _measured_on(part: UnitsJson) -> str:
    """On what the figures of the units were computed."""
    train, valid = part["train"], part["valid"]
    first = part["rows"][0]
    aligned, apart = "pnmi" in first["valid"], "pnmi" in first["train"]
    chosen = ", and the layer was chosen," if aligned and apart else ""
    itself = f" The layer was chosen on {valid['set']} itself, which flatters it." if aligned and not apart else ""
    return (
        f"Held-out figures: {valid['num_frames']:,} frames of {valid['num_utterances']:,} utterances of "
        f"{valid['set']}, silence included, at {part['frame_rate']:g} frames per second. Units were learned{chosen} on "
        f"{train['num_frames']:,} frames of {train['set']}.{itself}"
    )
