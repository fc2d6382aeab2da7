"""The evaluation of many trainings in, a Markdown table out: one line for each kind of run, means over training seeds.

A training is called <run>_seed<number>; MFCC, log-mel and the untrained model have a line each, without seeds.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet2.evaluate.report.marked_page import put_between_marks
from espnet2.evaluate.report.measures import KINDS, measures_of
from espnet2.evaluate.spread import with_spread
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.show import table_row

NAME = re.compile(r"(?P<run>.+)_seed(?P<seed>\d+)")
BEST = ("abx_within", "probe_phone")  # kinds that are shown of the layer that speaks for its system, or of the mix
PURITY = "phone_purity"  # of eval/units.json
BASELINES = ("mfcc", "logmel", "untrained")
LEGEND = (
    "PNMI of each layer, then PNMI and phone purity of the layer whose units are best on train; means over the seeds "
    "of training, each of {seeds} of k-means, ± largest less smallest training. A line without seeds is one system, "
    "± over the seeds of k-means. ABX is of the chosen layer, the linear phone probe of a learned mix of the layers."
)


@dataclass
class Line:
    """The figures of one kind of run: key of the column -> (value, spread) of each training."""

    seeds: list[int] = field(default_factory=list)
    figures: dict[str, list[tuple[float, float | None]]] = field(default_factory=dict)

    def text(self, column: str, *, as_percent: bool) -> str:
        """Mean and spread; a dash where there is no figure."""
        known = self.figures.get(column)
        if not known:
            return "-"
        values = [value for value, _ in known]
        spread = max(values) - min(values) if len(values) > 1 else None if self.seeds else known[0][1]
        return with_spread(sum(values) / len(values), spread, as_percent=as_percent)


def read_parts(folder: Path) -> dict[str, dict[str, Any]]:
    """units.json, abx.json and probes.json, as far as they are there.

    Raises:
        UserError: no units, which every table has.
    """
    parts = {name: folder / f"{name}.json" for name in ("units", "abx", "probes")}
    if not parts["units"].is_file():
        raise UserError(f"{parts['units']}: no such file; evaluate the runs first (local/runs.sh)")
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in parts.items() if path.is_file()}


def lines_of(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Line]:
    """Baselines, then kinds of runs in the order of their names.

    Raises:
        UserError: a model that is not called <run>_seed<number>.
    """
    measures = measures_of(parts)
    lines: dict[str, Line] = {}
    for system in (*BASELINES, "model"):
        titles = {measure.title for measure in measures if measure.system == system}
        for title in sorted(titles):
            matched = NAME.fullmatch(title)
            if system == "model" and not matched:
                raise UserError(f"model '{title}': expected a name such as iter0_seed0")
            line = lines.setdefault(matched["run"] if matched else title, Line())
            if matched:
                line.seeds.append(int(matched["seed"]))
            for measure in measures:
                if (measure.system, measure.title) != (system, title):
                    continue
                figure = (measure.value, measure.spread)
                if measure.kind.key == "pnmi" and measure.layer:
                    line.figures.setdefault(f"layer {measure.layer}", []).append(figure)
                if measure.best and measure.kind.key in ("pnmi", *BEST):
                    line.figures.setdefault(measure.kind.key, []).append(figure)
            for row in parts["units"]["rows"]:
                if (row["system"], row["title"]) == (system, title) and row["best"] and PURITY in row["valid"]:
                    figures = row["valid"]
                    line.figures.setdefault(PURITY, []).append((figures[PURITY], figures.get("spread", {}).get(PURITY)))
    return lines


def table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """The legend and the table."""
    lines, units = lines_of(parts), parts["units"]
    layers = sorted({column for line in lines.values() for column in line.figures if column.startswith("layer ")})
    heads = {**{layer: f"PNMI, {layer}" for layer in layers}, "pnmi": "PNMI, chosen layer"}
    heads |= {PURITY: "phone purity", **{key: KINDS[key].title for key in BEST}}
    columns = [key for key in heads if any(key in line.figures for line in lines.values())]
    valid = units["valid"]
    compared = f"{valid['num_utterances']:,} utterances and {valid['num_frames']:,} frames of {Path(valid['set']).name}"
    rule = f"K = {units['num_clusters']}, {units['frame_rate']:g} frames per second, {compared}."
    num_seeds = len(units["seeds"])
    legend = LEGEND.format(seeds=f"{num_seeds} seeds" if num_seeds > 1 else "one seed")
    rows = [table_row(["run", "seeds", *(heads[key] for key in columns)]), f"|---|--:|{'--:|' * len(columns)}"]
    for name, line in lines.items():
        cells = [line.text(column, as_percent=column in KINDS and KINDS[column].as_percent) for column in columns]
        rows.append(table_row([name.replace("_", " "), len(line.seeds) or "-", *cells]))
    return "\n".join([f"{rule} {legend}", "", *rows]) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Print the table, and put it into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="eval/ with units.json, abx.json and probes.json")
    parser.add_argument("--results", type=Path, help="the part of this page between its marks is rewritten")
    parser.add_argument("--mark", default="runs", help="name of that part (%(default)s)")
    arguments = parser.parse_args(words)
    text = table(read_parts(arguments.folder))
    print(text, end="")
    if arguments.results:
        put_between_marks(arguments.results, text, title="HuBERT on Mboshi", name=arguments.mark)


if __name__ == "__main__":
    run_main(main)
