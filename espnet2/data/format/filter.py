"""dump/org/<set> in, dump/<set> with the utterances of usable length out (stage 4)."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from espnet2.data.format.filter_tables import (
    COMPANIONS,
    copy_companions,
    remove_stale_companions,
    tables_beside,
)
from espnet2.data.formatted import read_format
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file, hash_value, read_json, write_json
from espnet2.utils.kaldi_table import iterate_table, write_table

TABLES = ("wav.scp", "utt2stats")  # besides utt2num_samples, which decides
REMEDY = "the folder is damaged: run stage 3 again"
DONE_FILE = "filter.json"


@dataclass(frozen=True)
class DurationLimits:
    """Both ends are kept."""

    min_seconds: float
    max_seconds: float


def filter_by_duration(source: Path, target: Path, limits: DurationLimits) -> dict:
    """Keep the utterances within the limits; dump/<set>/text (training targets) is never touched.

    Returns:
        The contents of filter.json.

    Raises:
        UserError: stage 3 has not finished, the limits are no range, or nothing is kept.
    """
    _check(source, target, limits)
    formatted = read_format(source)
    sample_rate = formatted.sample_rate
    work = hash_bytes(hash_value(vars(limits)), *(_hash(source / name) for name in _tables(source)))
    done = target / DONE_FILE
    kept = read_json(done)
    if kept is not None and kept["hash"] == work:
        return kept
    counts = _count(source, sample_rate, limits)
    if counts["num_kept"] == 0:
        raise UserError(
            f"{source}: no utterance lasts {limits.min_seconds:g} to {limits.max_seconds:g} s "
            f"({counts['num_short']} are shorter, {counts['num_long']} longer); "
            "see --min_wav_duration and --max_wav_duration"
        )
    properties = {"hash": work, "sample_rate": sample_rate, **vars(limits), **counts}
    with tables_beside(target, last=DONE_FILE) as beside:
        write_table(beside / "utt2num_samples", _kept(source, sample_rate, limits))
        for name in TABLES:
            write_table(beside / name, _in_step(source, name, sample_rate, limits))
        written = copy_companions(source, beside, beside / "utt2num_samples", rename=False)
        root = os.path.abspath(source / (formatted.root or os.path.relpath(os.getcwd(), os.path.abspath(source))))
        contents = {**formatted.contents, "root": os.path.relpath(root, os.path.abspath(target))}
        write_json(beside / "format.json", contents)
        write_json(beside / DONE_FILE, properties)
    remove_stale_companions(target, written)
    return properties


def _check(source: Path, target: Path, limits: DurationLimits) -> None:
    if not (source / "format.json").exists():
        raise UserError(f"{source}/format.json: no such file; run stage 3 for this set first")
    if source.resolve() == target.resolve():
        raise UserError(f"{target}: input and output are the same folder")
    values = (limits.min_seconds, limits.max_seconds)
    if any(math.isnan(value) for value in values) or not 0 <= limits.min_seconds < limits.max_seconds:
        raise UserError(
            f"--min_wav_duration {limits.min_seconds:g} --max_wav_duration {limits.max_seconds:g}: "
            "expected 0 <= min < max"
        )


def _tables(source: Path) -> list[str]:
    return ["utt2num_samples", *TABLES, "format.json", *COMPANIONS.values()]


def _hash(path: Path) -> str:
    return hash_file(path) if path.exists() else ""


def _lengths(source: Path) -> Iterator[tuple[str, int]]:
    """Utterance and samples of every line of utt2num_samples.

    Raises:
        UserError: a line holds no length, or the ids are not unique and in order.
    """
    path, previous = source / "utt2num_samples", ""
    for number, (utt_id, value) in enumerate(iterate_table(path), 1):
        if not value.isascii() or not value.isdigit() or int(value) == 0:
            raise UserError(f"{path}:{number}: expected '<utterance> <samples>', got '{utt_id} {value}'; {REMEDY}")
        if utt_id <= previous:
            raise UserError(f"{path}:{number}: '{utt_id}' after '{previous}'; expected unique ids in order; {REMEDY}")
        previous = utt_id
        yield utt_id, int(value)


def _is_kept(num_samples: int, sample_rate: int, limits: DurationLimits) -> bool:
    return limits.min_seconds <= num_samples / sample_rate <= limits.max_seconds


def _kept(source: Path, sample_rate: int, limits: DurationLimits) -> Iterator[tuple[str, str]]:
    for utt_id, num_samples in _lengths(source):
        if _is_kept(num_samples, sample_rate, limits):
            yield utt_id, str(num_samples)


def _in_step(source: Path, name: str, sample_rate: int, limits: DurationLimits) -> Iterator[tuple[str, str]]:
    """The kept lines of a table that has one line for each line of utt2num_samples.

    Raises:
        UserError: it has others: one of the two is damaged.
    """
    path = source / name
    pairs = zip_longest(iterate_table(path), _lengths(source), fillvalue=None)
    for number, (line, length) in enumerate(pairs, 1):
        if line is None or length is None or line[0] != length[0] or not line[1]:
            got = "the end of the file" if line is None else f"'{' '.join(line)[:80]}'"
            expected = "the end of the file" if length is None else f"'{length[0]} ...' as in utt2num_samples"
            raise UserError(f"{path}:{number}: expected {expected}, got {got}; {REMEDY}")
        if _is_kept(length[1], sample_rate, limits):
            yield line


def _count(source: Path, sample_rate: int, limits: DurationLimits) -> dict[str, int]:
    counts = dict.fromkeys(("num_kept", "num_short", "num_long", "kept_samples", "short_samples", "long_samples"), 0)
    for _, num_samples in _lengths(source):
        seconds = num_samples / sample_rate
        kind = "short" if seconds < limits.min_seconds else "long" if seconds > limits.max_seconds else "kept"
        counts[f"num_{kind}"] += 1
        counts[f"{kind}_samples"] += num_samples
    return counts


def describe(target: Path, properties: dict, limits: DurationLimits) -> str:
    """One line: what was kept, and what not."""

    def part(kind: str) -> str:
        hours = properties[f"{kind}_samples"] / properties["sample_rate"] / 3600
        return f"{properties[f'num_{kind}']:,} ({hours:.2f} h)"

    return (
        f"{target}: kept {part('kept')} utterances; left out {part('short')} below {limits.min_seconds:g} s "
        f"and {part('long')} above {limits.max_seconds:g} s"
    )
