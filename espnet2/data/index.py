"""A memory-mapped index of dump/<set> in, the length, statistics and audio entry of any utterance out."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TypedDict

import numpy as np

from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file

FORMAT_VERSION = 1
INDEX_NAME = "index"  # the folder inside dump/<set>
HASHED_TABLES = ("wav.scp", "utt2num_samples")  # what the index's hash covers
UNKNOWN_LANGUAGE = "und"  # ISO 639-2 "undetermined": sets without utt2lang


class IndexJson(TypedDict):
    """Contents of index.json."""

    format_version: int
    num_utterances: int
    total_samples: int
    sample_rate: int  # Hz
    languages: list[str]  # by the numbers in lang_ids.npy
    root: str  # where relative paths start, seen from the index
    hash: str  # of the contents of wav.scp and utt2num_samples
    sources_hash: str  # of all tables
    stamps: dict[str, list[int] | None]  # of `table_stamps`


class StringColumn:
    """Strings as one memory-mapped run of UTF-8 bytes plus offsets: no Python object per row."""

    def __init__(self, directory: Path, name: str) -> None:
        self.offsets = np.load(directory / f"{name}_offsets.npy", mmap_mode="r")  # (rows + 1,) int64
        self.bytes = np.memmap(directory / f"{name}.bin", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def raw(self, row: int) -> bytes:
        return self.bytes[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def __getitem__(self, row: int) -> str:
        return self.raw(row).decode("utf-8")


class AudioIndex:
    """The utterances of one set, in C-locale order of their ids; pickles as its path and is mapped again there.

    Opened in constant time; the columns are shared pages of the files, so nothing grows with the number of rows.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory  # dump/<set>/index
        self.properties = _read_properties(directory)
        self.sample_rate: int = self.properties["sample_rate"]  # Hz
        self.total_samples: int = self.properties["total_samples"]
        self.hash: str = self.properties["hash"]  # of the contents of wav.scp and utt2num_samples
        self.languages: list[str] = self.properties["languages"]
        # Stored relative to the index, so a recipe may use the dump of another one, and a tree may be moved.
        root = os.path.abspath(os.path.join(directory, self.properties["root"]))
        self._root = "" if root == os.getcwd() else root
        self._utt_ids = StringColumn(directory, "utt_ids")
        self._folders = StringColumn(directory, "folders")
        self._names = StringColumn(directory, "names")
        self._folder_ids = np.load(directory / "folder_ids.npy", mmap_mode="r")
        self.num_samples: np.ndarray = np.load(directory / "num_samples.npy", mmap_mode="r")  # (rows,) int64
        self.mean: np.ndarray = np.load(directory / "mean.npy", mmap_mode="r")  # (rows,) float32, of samples in [-1, 1]
        self.variance: np.ndarray = np.load(directory / "variance.npy", mmap_mode="r")  # (rows,) float32
        self.lang_ids: np.ndarray = np.load(directory / "lang_ids.npy", mmap_mode="r")  # (rows,) int16, of `languages`

    @classmethod
    def open(cls, directory: str | Path) -> "AudioIndex":
        """Map the index of dump/<set> (or the index folder itself).

        Raises:
            UserError: there is none, it is of another version, or its tables changed since it was built.
        """
        directory = Path(directory)
        if directory.name != INDEX_NAME:
            directory = directory / INDEX_NAME
        return cls(directory)

    def __reduce__(self) -> tuple[type["AudioIndex"], tuple[Path]]:
        return AudioIndex, (self.directory,)

    def __len__(self) -> int:
        return len(self.num_samples)

    def utt_id(self, row: int) -> str:
        return self._utt_ids[row]

    def path(self, row: int) -> str:
        """The audio entry of a row, as `read_audio` takes it."""
        return os.path.join(self._root, self._folders[self._folder_ids[row]], self._names[row])

    def find(self, utt_id: str) -> int | None:
        """The row of an utterance, by binary search; None if the set does not have it."""
        wanted = utt_id.encode("utf-8")
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._utt_ids.raw(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self._utt_ids.raw(low) == wanted else None


class JoinedIndex:
    """Several sets, one after the other, with the interface of `AudioIndex`."""

    def __init__(self, parts: Sequence[AudioIndex]) -> None:
        self.parts = list(parts)
        self.names = [str(part.directory.parent) for part in parts]
        self.starts = np.cumsum([0, *map(len, parts)])  # (sets + 1,) first row of each set
        self.sample_rate = parts[0].sample_rate
        self.total_samples = sum(part.total_samples for part in parts)
        self.hash = parts[0].hash if len(parts) == 1 else hash_bytes(*(part.hash for part in parts))
        self.languages = sorted({language for part in parts for language in part.languages})

    def __reduce__(self) -> tuple[type["JoinedIndex"], tuple[list[AudioIndex]]]:
        return JoinedIndex, (self.parts,)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def locate(self, row: int) -> tuple[AudioIndex, int]:
        """The set that holds a row of the whole, and its row there."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of an index of {len(self)}")
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.parts[part], int(row - self.starts[part])

    def utt_id(self, row: int) -> str:
        part, row = self.locate(row)
        return part.utt_id(row)

    def path(self, row: int) -> str:
        """The audio entry of a row, as `read_audio` takes it."""
        part, row = self.locate(row)
        return part.path(row)

    def find(self, utt_id: str) -> int | None:
        """The row of an utterance in the first set that has it; None if no set does."""
        for start, part in zip(self.starts, self.parts, strict=False):
            row = part.find(utt_id)
            if row is not None:
                return int(start) + row
        return None

    def _join(self, columns: list[np.ndarray]) -> np.ndarray:
        """A single set stays mapped; several are copied once per process that asks for the column."""
        return columns[0] if len(columns) == 1 else np.concatenate(columns)

    @cached_property
    def num_samples(self) -> np.ndarray:  # (rows,) int64
        return self._join([part.num_samples for part in self.parts])

    @cached_property
    def mean(self) -> np.ndarray:  # (rows,) float32
        return self._join([part.mean for part in self.parts])

    @cached_property
    def variance(self) -> np.ndarray:  # (rows,) float32
        return self._join([part.variance for part in self.parts])

    @cached_property
    def lang_ids(self) -> np.ndarray:  # (rows,) int16, numbers of `languages` of the whole
        place = {language: number for number, language in enumerate(self.languages)}
        maps = [np.array([place[language] for language in part.languages], np.int16) for part in self.parts]
        return self._join([table[part.lang_ids] for table, part in zip(maps, self.parts, strict=True)])

    @cached_property
    def set_ids(self) -> np.ndarray:  # (rows,) int16, which of `names` a row belongs to
        return np.repeat(np.arange(len(self.parts), dtype=np.int16), np.diff(self.starts))


def open_indexes(directories: Sequence[str | Path]) -> JoinedIndex:
    """Map the indexes of several sets and join them in this order.

    Raises:
        UserError: as `AudioIndex.open`; no set or the same set twice is named; the sample rates differ.
    """
    if not directories:
        raise UserError("no data set is named; expected at least one dump/<set>")
    parts = [AudioIndex.open(directory) for directory in directories]
    seen: set[Path] = set()
    for part in parts:
        real = part.directory.resolve()
        if real in seen:
            raise UserError(f"{part.directory.parent}: this set is named twice; use sampling weights to repeat one")
        seen.add(real)
        if part.sample_rate != parts[0].sample_rate:
            raise UserError(
                f"{part.directory.parent} has {part.sample_rate} Hz, {parts[0].directory.parent} "
                f"{parts[0].sample_rate} Hz; format all sets with the same --fs (stage 3)"
            )
    return JoinedIndex(parts)


def _read_properties(directory: Path) -> IndexJson:
    dump_set = directory.parent
    try:
        properties: IndexJson = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{directory}: no index here; run stage 6 for {dump_set}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{directory}/index.json: not valid JSON ({error}); run stage 6 again") from None
    if properties.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{directory}: index version {properties.get('format_version')}, expected {FORMAT_VERSION}; "
            "run stage 6 again"
        )
    stamps = table_stamps(dump_set)
    changed = any(stamp is not None and stamp != properties["stamps"][name] for name, stamp in stamps.items())
    if changed and None not in stamps.values() and tables_hash(dump_set) != properties["hash"]:
        raise UserError(f"{dump_set}: wav.scp or utt2num_samples changed since the index was built; run stage 6 again")
    return properties


def table_stamps(dump_set: Path) -> dict[str, list[int] | None]:
    """Size in bytes and time of change in ns of each hashed table: equal stamps save hashing the contents again."""
    stamps: dict[str, list[int] | None] = {}
    for name in HASHED_TABLES:
        path = dump_set / name
        stat = path.stat() if path.exists() else None
        stamps[name] = [stat.st_size, stat.st_mtime_ns] if stat else None
    return stamps


def tables_hash(dump_set: Path) -> str:
    """The content hash that names an index."""
    return hash_bytes(*(hash_file(dump_set / name) for name in HASHED_TABLES))
