"""The result of one task for one system, as a JSON file: its figures, and all that they depend on."""

import re
from pathlib import Path
from typing import TypedDict, cast

from espnet2.utils.files import read_json

CARD = "superb.json"  # in the folder of a task's data: which corpus it is


class CorpusCard(TypedDict, total=False):
    """What a preparer says of the sets that it wrote."""

    corpus: str
    official: bool  # the corpus and the lists of the paper


class ResultJson(TypedDict, total=False):
    """exp/superb/<system>/<task>.json."""

    task: str
    system: str  # its title
    kind: str  # model, untrained, mfcc, logmel
    model: str  # as the user called it
    source_hash: str
    hash: str  # of everything the figures depend on
    figures: dict[str, float]
    details: dict[str, object]
    rules: dict[str, object]
    deviations: list[str]  # from the official rules, in words
    corpus: str
    official_data: bool
    counts: dict[str, int]  # utterances of each set
    seed: int
    seconds: float
    notes: list[str]


def folder_of(output: Path, title: str) -> Path:
    """Where the results of a system lie."""
    return output / (re.sub(r"[^\w.+-]+", "_", title).strip("_.") or "system")


def read_result(output: Path, title: str, task: str) -> ResultJson | None:
    """What was computed before; None where there is nothing, or it is damaged."""
    result = read_json(folder_of(output, title) / f"{task}.json")
    return cast(ResultJson, result) if result is not None and "figures" in result else None


def all_results(output: Path) -> dict[str, dict[str, ResultJson]]:
    """Title of a system -> task -> result, of everything that lies in a folder."""
    results: dict[str, dict[str, ResultJson]] = {}
    for path in sorted(output.glob("*/*.json")):
        result = cast(ResultJson | None, read_json(path))
        if result is not None and "figures" in result and "task" in result:
            results.setdefault(result["system"], {})[result["task"]] = result
    return results


def corpus_card(data: Path) -> CorpusCard:
    """Of a task's folder; a folder without one is nobody's official corpus."""
    return cast(CorpusCard, read_json(data / CARD) or {})
