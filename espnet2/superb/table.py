"""Results in, one table in the leaderboard's form out, with published rows beside where they may stand there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

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


def write_table(output: Path) -> str:
    """<output>/RESULTS.md of everything that lies there.

    Raises:
        UserError: there is nothing.
    """
    results = all_results(output)
    if not results:
        raise UserError(f"{output}: no results of SUPERB there; run the tasks first")
    text = superb_table(results)
    with atomic_write(output / TABLE) as stream:
        stream.write(text)
    return text


def superb_table(results: Results) -> str:
    """The table as Markdown, and below it what it is of."""
    tasks = [task for task in find_tasks(task_names()) if any(task.name in of_system for of_system in results.values())]
    columns = [(task, metric) for task in tasks for metric in task.metrics]
    titles = (f"{task.title} {metric.title} {'↑' if metric.higher_is_better else '↓'}" for task, metric in columns)
    lines = [
        table_row(["system", *titles]),
        table_row(["---", *("--:" for _ in columns)]),
    ]  # fmt: skip
    for title, of_system in results.items():
        lines.append(table_row([title, *(_cell(of_system.get(task.name), metric) for task, metric in columns)]))
    are_official = all(is_official(result) for of_system in results.values() for result in of_system.values())
    beside = [(task, metric) for task, metric in columns if task.in_paper]
    if beside:
        for title, values in superb_rows().items():
            cells = [values.get(f"{task.name}.{metric.key}", "") for task, metric in columns]
            if any(cells):
                lines.append(table_row([f"{title} (published)", *cells]))
    return "\n".join(["# SUPERB", "", *lines, "", *_notes(tasks, results, bool(beside), are_official), ""])


def is_official(result: ResultJson) -> bool:
    """Whether a figure may be compared with published ones: rules, corpus and lists of the paper."""
    return bool(result.get("official_data")) and not result.get("deviations")


def _cell(result: ResultJson | None, metric: Metric) -> str:
    if result is None or metric.key not in result["figures"]:
        return ""
    return metric.text(result["figures"][metric.key]) + ("" if is_official(result) else " *")


def _notes(tasks: Sequence[Task], results: Results, has_published: bool, are_official: bool) -> list[str]:
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
    lines += [
        "",
        "| task | corpus | utterances | learning rates | other than the rules |",
        "|---|---|---|---|---|",
    ]
    for task in tasks:
        for result in _different([of_system[task.name] for of_system in results.values() if task.name in of_system]):
            counts = ", ".join(f"{part} {count:,}" for part, count in sorted(result["counts"].items(), key=_by_part))
            rates = ", ".join(_rates(results, task.name))
            deviating = "; ".join(result.get("deviations", [])) or "nothing"
            lines.append(table_row([task.title, result.get("corpus") or "unnamed", counts, rates, deviating]))
    notes = [f"{task.title}: {note}" for task in tasks for note in _notes_of(task, results)]
    return [*lines, *(["", *(f"* {note}." for note in notes)] if notes else [])]


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
