"""Tables of dump/<set> in, its memory-mapped index out; no audio is read."""

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from espnet2.data.formatted import read_format
from espnet2.data.index import COLUMNS, UNKNOWN_LANGUAGE, AudioIndex
from espnet2.data.index_card import (
    FORMAT_VERSION,
    HASHED_TABLES,
    INDEX_NAME,
    NAMES_AND_LENGTHS,
    IndexJson,
    covered_tables,
    read_index_card,
    sources_hash,
    table_stamps,
    tables_hash,
)
from espnet2.utils.arrays import map_array
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file, write_json
from espnet2.utils.kaldi_table import iterate_table

MAX_LANGUAGES = 32767  # int16 column


class Row(NamedTuple):
    """One utterance, as the tables give it."""

    utt_id: str
    entry: str  # what `read_audio` takes
    num_samples: int
    mean: float
    variance: float
    language: str


def build_index(dump_set: str | Path) -> Path:
    """Write dump/<set>/index, or leave it when it is already that of the tables.

    Args:
        dump_set: holds wav.scp, utt2num_samples, utt2stats and format.json; utt2lang is used where present.

    Returns:
        The index folder.

    Raises:
        UserError: a table is missing, unsorted or malformed, tables disagree in their keys, or the set is empty.
    """
    dump_set = Path(dump_set)
    target = dump_set / INDEX_NAME
    sample_rate, root = _read_format(dump_set)
    stamps = table_stamps(dump_set)  # before reading: a table that changes meanwhile makes the index stale
    for name, stamp in stamps.items():
        if stamp is None:
            raise UserError(f"{dump_set}/{name}: no such file; run stages 3 and 4 for this set")
    sources = sources_hash(dump_set)
    if _is_current(target, sources, sample_rate, root, stamps):
        return target
    beside = dump_set / f".{INDEX_NAME}.{os.getpid()}"
    try:
        beside.mkdir(parents=True)
        num_rows = _count_lines(dump_set / "wav.scp")
        total_samples, languages = _write_columns(beside, _rows(dump_set), num_rows)
        covered = NAMES_AND_LENGTHS if _keeps_older_hash(target, beside, dump_set, sources) else HASHED_TABLES
        properties: IndexJson = {
            "format_version": FORMAT_VERSION,
            "num_utterances": num_rows,
            "total_samples": total_samples,
            "sample_rate": sample_rate,
            "languages": languages,
            "root": root,
            "hash": tables_hash(dump_set, covered),
            "hash_covers": list(covered),
            "sources_hash": sources,
            "columns_hash": _columns_hash(beside),
            "stamps": stamps,
        }
        write_json(beside / "index.json", properties)
        if target.exists():
            shutil.rmtree(target)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _read_format(dump_set: Path) -> tuple[int, str]:
    """Sample rate in Hz, and the folder (relative to the index) that relative paths in wav.scp start from."""
    formatted = read_format(dump_set)
    if formatted.root is not None:
        return formatted.sample_rate, os.path.join("..", formatted.root)
    sample_rate = formatted.sample_rate
    return sample_rate, os.path.relpath(os.getcwd(), os.path.abspath(dump_set / INDEX_NAME))  # a set made by hand


def _columns_hash(directory: Path) -> str:
    """Of the files of an index, besides index.json."""
    files = sorted(path for path in directory.iterdir() if path.suffix in (".npy", ".bin"))
    return hash_bytes(*(part for path in files for part in (path.name, hash_file(path))))


def _is_current(target: Path, sources: str, sample_rate: int, root: str, stamps: dict[str, list[int] | None]) -> bool:
    """True when `target` was made from these contents and is whole; its stamps are brought up to date."""
    try:
        properties = read_index_card(target)
        contents = tables_hash(target.parent, covered_tables(properties))
        if (properties["hash"], properties["sources_hash"]) != (contents, sources):
            return False
        if (properties["sample_rate"], properties["root"]) != (sample_rate, root):
            return False
        if properties.get("columns_hash", "") not in ("", _columns_hash(target)):
            return False
        AudioIndex(target)  # of an older index, which has no hash of its columns, at least the shapes
    except (OSError, ValueError, UserError):
        return False
    if properties["stamps"] != stamps:
        write_json(target / "index.json", {**properties, "stamps": stamps})
    return True


def _keeps_older_hash(target: Path, beside: Path, dump_set: Path, sources: str) -> bool:
    """Whether the index there is of a version whose hash did not cover the samples, and is of the same samples.

    Labels and models know the set by that hash: an upgrade is no reason to make them anew.
    """
    try:
        older = read_index_card(target)
        if covered_tables(older) == HASHED_TABLES:
            return False
        if older["sources_hash"] == sources:
            return True
        if older["hash"] != tables_hash(dump_set, NAMES_AND_LENGTHS):
            return False
        pairs = [[map_array(folder / f"{name}.npy") for folder in (target, beside)] for name in ("mean", "variance")]
    except (OSError, ValueError):
        return False
    return all(np.array_equal(before, now) for before, now in pairs)


def _count_lines(path: Path) -> int:
    count = 0
    last = b"\n"
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    count += last != b"\n"
    if count == 0:
        raise UserError(f"{path}: empty; no utterance is left to train on (see --min_wav_duration, --max_wav_duration)")
    return count


def _rows(dump_set: Path) -> Iterator[Row]:
    """The tables, line by line together: they must have the same keys in the same (C-locale) order."""
    entries = _sorted_table(dump_set / "wav.scp")
    lengths = iterate_table(dump_set / "utt2num_samples")
    stats = iterate_table(dump_set / "utt2stats")
    languages = _Languages(dump_set / "utt2lang")
    for number, (utt_id, entry) in enumerate(entries, 1):
        if entry.endswith("|") or not entry:
            raise UserError(f"{dump_set}/wav.scp:{number}: '{entry}' is not a file; run stage 3 to write real audio")
        num_samples = _matching(lengths, utt_id, dump_set / "utt2num_samples", number)
        mean_variance = _matching(stats, utt_id, dump_set / "utt2stats", number)
        yield Row(
            utt_id,
            entry,
            _positive_integer(num_samples, f"{dump_set}/utt2num_samples:{number}"),
            *_two_numbers(mean_variance, f"{dump_set}/utt2stats:{number}"),
            languages.of(utt_id),
        )
    for table, name in ((lengths, "utt2num_samples"), (stats, "utt2stats")):
        extra = next(table, None)
        if extra is not None:
            raise UserError(f"{dump_set}/{name}: '{extra[0]}' is not in wav.scp; run stage 4 again")


def _sorted_table(path: Path) -> Iterator[tuple[str, str]]:
    previous = ""
    for number, (key, value) in enumerate(iterate_table(path), 1):
        if key <= previous:  # the order of code points is the order of UTF-8 bytes, that is of the C locale
            what = "appears twice" if key == previous else f"comes after '{previous}'"
            raise UserError(f"{path}:{number}: '{key}' {what}; expected C-locale order: run stage 4 again")
        previous = key
        yield key, value


class _Languages:
    """utt2lang read alongside wav.scp; utterances it lacks have no known language."""

    def __init__(self, path: Path) -> None:
        self.rows = _sorted_table(path) if path.exists() else iter(())
        self.current = next(self.rows, None)

    def of(self, utt_id: str) -> str:
        while self.current is not None and self.current[0] < utt_id:
            self.current = next(self.rows, None)
        language = self.current[1] if self.current is not None and self.current[0] == utt_id else ""
        return language or UNKNOWN_LANGUAGE


def _matching(table: Iterator[tuple[str, str]], utt_id: str, path: Path, number: int) -> str:
    key, value = next(table, (None, ""))
    if key != utt_id:
        description = "the file ends" if key is None else f"found '{key}'"
        raise UserError(f"{path}:{number}: {description}, expected '{utt_id}' as in wav.scp; run stages 3 and 4 again")
    return value


def _positive_integer(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise UserError(f"{where}: '{text}' is not a number of samples")
    return int(text)


def _two_numbers(text: str, where: str) -> tuple[float, float]:
    try:
        mean, variance = map(float, text.split())
    except ValueError:
        raise UserError(f"{where}: '{text}', expected '<mean> <variance>'") from None
    if math.isnan(mean) and math.isnan(variance):  # as_is: computed where it is needed
        return mean, variance
    if not (math.isfinite(mean) and math.isfinite(variance) and variance >= 0):
        raise UserError(f"{where}: '{text}' are not a finite mean and a variance")
    return mean, variance


class _StringWriter:
    """Writes what `StringColumn` maps."""

    def __init__(self, directory: Path, name: str, num_rows: int) -> None:
        self.stream = open(directory / f"{name}.bin", "wb")  # noqa: SIM115 - closed by close()
        self.offsets = np.lib.format.open_memmap(
            directory / f"{name}_offsets.npy", mode="w+", dtype=np.int64, shape=(num_rows + 1,)
        )
        self.row = self.end = 0

    def append(self, text: str) -> None:
        self.end += self.stream.write(text.encode("utf-8"))
        self.row += 1
        self.offsets[self.row] = self.end

    def close(self) -> None:
        if self.end == 0:
            self.stream.write(b"\0")  # an empty file cannot be mapped
        self.stream.close()
        self.offsets.flush()


def _write_columns(directory: Path, rows: Iterator[Row], num_rows: int) -> tuple[int, list[str]]:
    """Returns the total number of samples and the languages by number."""
    columns = {
        name: np.lib.format.open_memmap(directory / f"{name}.npy", mode="w+", dtype=dtype, shape=(num_rows,))
        for name, dtype in COLUMNS.items()
    }
    utt_ids, names = (_StringWriter(directory, name, num_rows) for name in ("utt_ids", "names"))
    folders: dict[str, int] = {}
    languages: dict[str, int] = {}
    for number, row in enumerate(rows):
        folder, name = os.path.split(row.entry)
        utt_ids.append(row.utt_id)
        names.append(name)
        columns["folder_ids"][number] = folders.setdefault(folder, len(folders))
        columns["num_samples"][number] = row.num_samples
        columns["mean"][number] = row.mean
        columns["variance"][number] = row.variance
        columns["lang_ids"][number] = languages.setdefault(row.language, len(languages))
        if len(languages) > MAX_LANGUAGES:
            raise UserError(f"utt2lang has more than {MAX_LANGUAGES} languages; is its second column the language?")
    total_samples = int(columns["num_samples"].sum())
    folder_column = _StringWriter(directory, "folders", len(folders))
    for folder in folders:
        folder_column.append(folder)
    for strings in (utt_ids, names, folder_column):
        strings.close()
    for column in columns.values():
        column.flush()
    return total_samples, list(languages)
