"""Results in, one table in the leaderboard's form out, with published rows beside where they may stand there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from espnet2.evaluate.published import SUPERB_ROWS, superb_rows
from espnet2.superb.base import Metric, Task
from espnet2.superb.registry import find_tasks, task_names
from espnet2.superb.result import ResultJson, all_results
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write
from espnet2.utils.show import table_row

TABLE = "RESULTS.md"
PARTS = ("train", "dev", "test")
Results = Mapping[str, Mapping[str, ResultJson]]  # title of a system -> task -> result


class Leaderboard(NamedTuple):
    """What the table and the page show, as text."""

    head: list[str]
    rows: list[list[str]]
    sentences: list[str]  # below the table
    rules_head: list[str]
    rules: list[list[str]]  # what every column is of
    notes: list[str]


def write_table(output: Path, results: Results) -> str:
    """<output>/RESULTS.md of everything that lies there."""
    text = superb_table(results)
    with atomic_write(output / TABLE) as stream:
        stream.write(text)
    return text


def read_results(output: Path) -> Results:
    """Everything that lies there.

    Raises:
        UserError: there is nothing.
    """
    results = all_results(output)
    if not results:
        raise UserError(f"{output}: no results of SUPERB there; run the tasks first")
    return results


def superb_table(results: Results) -> str:
    """The table as Markdown, and below it what it is of."""
    board = leaderboard(results)
    lines = [table_row(board.head), table_row(["---", *("--:" for _ in board.head[1:])]), *map(table_row, board.rows)]
    rules = [table_row(board.rules_head), "|---|---|---|---|---|", *map(table_row, board.rules)]
    notes = ["", *(f"* {note}." for note in board.notes)] if board.notes else []
    return "\n".join(["# SUPERB", "", *lines, "", *board.sentences, "", *rules, *notes, ""])


def leaderboard(results: Results) -> Leaderboard:
    """Systems and tasks in the leaderboard's order, published rows below them."""
    tasks = [task for task in find_tasks(task_names()) if any(task.name in of_system for of_system in results.values())]
    columns = [(task, metric) for task in tasks for metric in task.metrics]
    titles = [f"{task.title} {metric.title} {'↑' if metric.higher_is_better else '↓'}" for task, metric in columns]
    rows = [
        [title, *(_cell(of_system.get(task.name), metric) for task, metric in columns)]
        for title, of_system in results.items()
    ]
    are_official = all(is_official(result) for of_system in results.values() for result in of_system.values())
    has_published = any(task.in_paper for task in tasks)
    if has_published:
        for title, values in superb_rows().items():
            cells = [values.get(f"{task.name}.{metric.key}", "") for task, metric in columns]
            if any(cells):
                rows.append([f"{title} (published)", *cells])
    notes = [f"{task.title}: {note}" for task in tasks for note in _notes_of(task, results)]
    rules_head = ["task", "corpus", "utterances", "learning rates", "other than the rules"]
    return Leaderboard(
        ["system", *titles], rows, _sentences(has_published, are_official), rules_head, _rules(tasks, results), notes
    )


def is_official(result: ResultJson) -> bool:
    """Whether a figure may be compared with published ones: rules, corpus and lists of the paper."""
    return bool(result.get("official_data")) and not result.get("deviations")


def _cell(result: ResultJson | None, metric: Metric) -> str:
    if result is None or metric.key not in result["figures"]:
        return ""
    return metric.text(result["figures"][metric.key]) + ("" if is_official(result) else " *")


def _sentences(has_published: bool, are_official: bool) -> list[str]:
    lines = ["Accuracies, error rates and F1 in percent. Frozen encoders, learned weights of all layers."]
    if has_published:
        by_source: dict[str, list[str]] = {}
        for title, (source, _) in SUPERB_ROWS.items():
            by_source.setdefault(source, []).append(title)
        lines += [f"Published rows of {', '.join(titles)}: {source}." for source, titles in by_source.items()]
    if not are_official:
        lines.append(
            "Figures with a star are of another corpus or under other rules than the paper's: "
            "**compare them with one another, not with the published rows.**"
        )
    return lines


def _rules(tasks: Sequence[Task], results: Results) -> list[list[str]]:
    rows = []
    for task in tasks:
        for result in _different([of_system[task.name] for of_system in results.values() if task.name in of_system]):
            counts = ", ".join(f"{part} {count:,}" for part, count in sorted(result["counts"].items(), key=_by_part))
            rates = ", ".join(_rates(results, task.name))
            deviating = "; ".join(result.get("deviations", [])) or "nothing"
            rows.append([task.title, result.get("corpus") or "unnamed", counts, rates, deviating])
    return rows


def _different(results: Sequence[ResultJson]) -> list[ResultJson]:
    """One of all that were made alike."""
    kinds = {(result.get("corpus"), str(result["counts"]), str(result.get("deviations"))): result for result in results}
    return list(kinds.values())


def _by_part(entry: tuple[str, int]) -> int:
    """Train before dev before test."""
    return PARTS.index(entry[0]) if entry[0] in PARTS else -1


def _rates(results: Results, task: str) -> list[str]:
    """System by system: the learning rate, and of how many it was chosen."""
    shown = []
    for title, of_system in results.items():
        details = of_system[task]["details"] if task in of_system else {}
        rate, search = details.get("learning_rate"), details.get("search")
        if isinstance(rate, float):
            tried = {entry["learning_rate"] for entry in search} if isinstance(search, list) else {rate}
            shown.append(f"{title} {rate:g}" + (f" of {len(tried)}" if len(tried) > 1 else ""))
    return shown


def _notes_of(task: Task, results: Results) -> list[str]:
    told = [
        note
        for of_system in results.values()
        if task.name in of_system
        for note in of_system[task.name].get("notes", [])
    ]
    return list(dict.fromkeys(told))
