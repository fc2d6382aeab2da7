"""Scores of utterances and a benchmark's gold file in, how often the right one of a pair scores higher, out."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write
from espnet2.utils.show import first_names

# The columns of sLM21's gold.csv that say which recordings belong together (ZeroSpeech 2021, Nguyen et al. 2020).
TASKS = {
    "sWUGGY": (("id",), "frequency"),  # lexical: a word and a non-word, by several voices
    "sBLIMP": (("type", "subtype", "id"), "type"),  # syntactic: a sentence and one that is none
    "tSC": (("id",), ""),  # Topic Story-Cloze (Hassid et al. 2023, TWIST): a fitting end and another
}
OUT_OF_VOCABULARY = "0"  # frequency of words that LibriSpeech does not have


class Recording(NamedTuple):
    """A line of the gold file."""

    name: str
    item: tuple[str, ...]
    voice: str
    is_correct: bool
    group: str


class PairsJson(TypedDict):
    """How many pairs are told apart."""

    task: str
    accuracy: float  # chance is 0.5; an equal score counts half
    num_items: int
    groups: dict[str, float]  # of sBLIMP by phenomenon, of sWUGGY words of LibriSpeech and others


def read_gold(path: Path, task: str) -> list[Recording]:
    """The lines of gold.csv; for tSC also a folder of <id>_correct and <id>_incorrect recordings is told by its names.

    Raises:
        UserError: no such file, it is no table, or columns are missing.
    """
    keys, group = TASKS[task]
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file; expected the gold.csv of {task}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: no table of commas ({error}); expected the gold.csv of {task}") from None
    needed = ["filename", *keys, "correct", *([group] if group == "type" else [])]
    lacking = [name for name in needed if name not in (reader.fieldnames or [])]
    if lacking or not rows:
        raise UserError(
            f"{path}:1: {task} needs the columns {', '.join(needed)}"
            + (f"; {', '.join(lacking)} missing" if lacking else "; there are no lines below them")
        )
    recordings = []
    for number, row in enumerate(rows, 2):
        if row["correct"] not in ("0", "1"):
            raise UserError(f"{path}:{number}: expected 0 or 1 as 'correct', found '{row['correct']}'")
        name = row["filename"].rsplit("/", 1)[-1].removesuffix(".wav").removesuffix(".flac")
        item = tuple(row[key] or "" for key in keys)
        recordings.append(Recording(name, item, row.get("voice") or "", row["correct"] == "1", _group(row, group)))
    return recordings


def _group(row: Mapping[str, str], column: str) -> str:
    if column != "frequency":
        return row.get(column, "") if column else ""
    # Only the word of a pair has a frequency: the first two kinds are called so in ZeroSpeech's tables.
    frequency = (row.get(column) or "").split(".")[0]
    return "" if frequency == "" else "out of vocabulary" if frequency == OUT_OF_VOCABULARY else "in vocabulary"


def pairs_by_name(names: Iterable[str]) -> list[Recording]:
    """Recordings whose names end in _correct and _incorrect, as tSC is distributed."""
    recordings = []
    for name in names:
        item, _, end = name.rpartition("_")
        if end in ("correct", "incorrect") and item:
            recordings.append(Recording(name, (item,), "", end == "correct", ""))
    return recordings


def judge_pairs(recordings: Sequence[Recording], scores: Mapping[str, float], task: str, where: str) -> PairsJson:
    """Compare the right and the wrong recordings of an item, voice by voice, then average over voices, then items.

    Args:
        scores: recording -> the higher, the likelier.
        where: the scores come from, for messages.

    Raises:
        UserError: recordings without a score, or items without a pair.
    """
    missing = [recording.name for recording in recordings if recording.name not in scores]
    if missing:
        raise UserError(
            f"{where}: no score of {len(missing):,} of {len(recordings):,} recordings of {task} "
            f"({first_names(missing, 3)}): dump the tokens of all of them"
        )
    sides: dict[tuple[tuple[str, ...], str], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    groups: dict[tuple[str, ...], str] = {}
    for recording in recordings:
        sides[recording.item, recording.voice][not recording.is_correct].append(scores[recording.name])
        groups[recording.item] = groups.get(recording.item) or recording.group
    alone = [item for (item, _), (right, wrong) in sides.items() if not (right and wrong)]
    if alone:
        raise UserError(
            f"{where}: {len(alone):,} items of {task} lack their right or their wrong recording "
            f"({' '.join(alone[0])}, for example): the gold file is cut short, or is that of another task"
        )
    by_item: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for (item, _), (right, wrong) in sides.items():
        by_item[item] += [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    accuracies = {item: sum(values) / len(values) for item, values in by_item.items()}
    names = sorted({name for name in groups.values() if name})
    means = {name: _mean([value for item, value in accuracies.items() if groups[item] == name]) for name in names}
    return {"task": task, "accuracy": _mean(list(accuracies.values())), "num_items": len(accuracies), "groups": means}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def write_submission(path: Path, scores: Mapping[str, float]) -> None:
    """ZeroSpeech's form: "<recording> <score>" lines, lexical/dev.txt or syntactic/dev.txt of a submission."""
    with atomic_write(path) as stream:
        stream.writelines(f"{name} {score!r}\n" for name, score in scores.items())
