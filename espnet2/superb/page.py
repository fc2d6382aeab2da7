"""Results of SUPERB in, one HTML page out: the table, layer weights, the search; and its data as CSV and JSON."""

import csv
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from espnet2.evaluate.published import SUPERB_ROWS, superb_rows
from espnet2.evaluate.report.chart import Series, line_chart
from espnet2.evaluate.report.curves import STEPS
from espnet2.evaluate.report.page import Section, charts, remark, table, write_page
from espnet2.superb.registry import find_tasks, task_names
from espnet2.superb.table import Results, is_official, leaderboard
from espnet2.utils.files import atomic_write, write_json

PAGE = "report.html"


class FigureJson(TypedDict):
    """One figure of one system, as the CSV has it."""

    system: str
    task: str
    metric: str
    value: float  # a share; of QbE the MTWV
    higher_is_better: bool
    is_official: bool  # may stand beside published figures
    corpus: str
    utterances: str
    rules: str  # what is other than the official ones
    learning_rate: str
    seed: int
    model: str


def write_superb_page(output: Path, results: Results) -> None:
    """Write <output>/report.html, report.csv and report.json, each whole or not at all."""
    path = output / PAGE
    figures = figures_of(results)
    with atomic_write(path.with_suffix(".csv")) as stream:
        rows = csv.DictWriter(stream, list(FigureJson.__annotations__), lineterminator="\n")
        rows.writeheader()
        rows.writerows(figures)
    published = {title: {"source": SUPERB_ROWS[title][0], **values} for title, values in superb_rows().items()}
    write_json(path.with_suffix(".json"), {"figures": figures, "results": results, "published": published})
    write_page(
        path,
        kicker="SUPERB: a frozen model on many tasks",
        heading="\N{NO-BREAK SPACE}· ".join(results),
        facts=[],
        sections=[_figures(results), _layers(results), _search(results), _rules(results)],
        footer="Made by espnet2.bin.ssl_superb; the page needs nothing but itself. Its figures are in "
        f"{path.with_suffix('.csv').name}, everything that was measured in {path.with_suffix('.json').name}.",
    )


def figures_of(results: Results) -> list[FigureJson]:
    """Every figure of every system, with what it is of."""
    return [
        {
            "system": title,
            "task": task.name,
            "metric": metric.key,
            "value": result["figures"][metric.key],
            "higher_is_better": metric.higher_is_better,
            "is_official": is_official(result),
            "corpus": result.get("corpus", ""),
            "utterances": ", ".join(f"{part} {count}" for part, count in result["counts"].items()),
            "rules": "; ".join(result.get("deviations", [])),
            "learning_rate": str(result["details"].get("learning_rate", "")),
            "seed": result.get("seed", 0),
            "model": result.get("model", ""),
        }
        for title, of_system in results.items()
        for task in find_tasks(task_names())
        if (result := of_system.get(task.name)) is not None
        for metric in task.metrics
        if metric.key in result["figures"]
    ]


def _figures(results: Results) -> Section:
    board = leaderboard(results)
    shown = table(board.head, board.rows, numeric=range(1, len(board.head)))
    shown += Markup("").join(remark(sentence.replace("**", "")) for sentence in board.sentences)
    return Section("figures", "Figures", shown)


def _layers(results: Results) -> Section:
    """One chart per task: how much the head takes of every layer."""
    drawn = Markup("")
    for task in find_tasks(task_names()):
        series = []
        for number, (title, of_system) in enumerate(results.items()):
            weights = of_system[task.name]["details"].get("layer_weights") if task.name in of_system else None
            if isinstance(weights, list) and len(weights) > 1:
                points = [(float(layer), float(weight)) for layer, weight in enumerate(weights)]
                series.append(Series(title, points, f"s{number % STEPS + 1}", dots=True))
        who = f" of {series[0].name}" if len(series) == 1 else ""  # one curve has no legend
        note = f"weight{who} that the head learned; 0 is the input of the first block"
        drawn += line_chart(task.title, series, x_label="layer", note=note)
    return Section("layers", "Layers", charts(drawn), "No system has several layers, or no task learned weights.")


def _search(results: Results) -> Section:
    """Every training: problem by problem, rate by rate."""
    rows = []
    for title, of_system in results.items():
        for task in find_tasks(task_names()):
            search = of_system[task.name]["details"].get("search") if task.name in of_system else None
            for entry in search if isinstance(search, list) else []:
                dev = ", ".join(f"{key} {value:.4f}" for key, value in entry["dev"].items())
                finite = "" if entry["finite"] else "not finite"
                rows.append([title, task.title, f"{entry['learning_rate']:g}", dev, entry["best_update"], finite])
    head = ["system", "task", "learning rate", "dev", "best update", ""]
    return Section("search", "Search of learning rates", table(head, rows, numeric=(2, 4)), "Nothing was trained.")


def _rules(results: Results) -> Section:
    board = leaderboard(results)
    shown = table(board.rules_head, board.rules)
    notes = Markup("").join(Markup("<li>{}.</li>").format(note) for note in board.notes)
    return Section("rules", "Corpora and rules", shown + Markup('<ul class="plain">{}</ul>').format(notes))
