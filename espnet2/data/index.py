"""The memory-mapped index of dump/<set>: length, statistics and audio entry of any utterance."""

import os
import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from espnet2.data.audio.entry import is_in_store
from espnet2.data.index_card import (
    HASHED_TABLES,
    INDEX_NAME,
    IndexJson,
    covered_tables,
    read_index_card,
    sources_hash,
    table_stamps,
    tables_hash,
)
from espnet2.utils.arrays import map_array
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes

COLUMNS: dict[str, type[np.generic]] = {
    "num_samples": np.int64,
    "mean": np.float32,
    "variance": np.float32,
    "lang_ids": np.int16,
    "folder_ids": np.int32,
}
UNKNOWN_LANGUAGE = "und"  # ISO 639-2 "undetermined": sets without utt2lang


class StringColumn:
    """Strings as one memory-mapped run of UTF-8 bytes plus offsets: no Python object per row."""

    def __init__(self, directory: Path, name: str, num_rows: int | None = None) -> None:
        """Raises ValueError where the files are not those of `num_rows` strings (None: of any number)."""
        rows = None if num_rows is None else num_rows + 1
        self.offsets = _map_column(directory / f"{name}_offsets.npy", np.int64, rows)  # (rows + 1,)
        self.bytes = np.memmap(directory / f"{name}.bin", dtype=np.uint8, mode="r")
        if len(self.offsets) == 0 or self.offsets[0] != 0 or max(1, self.offsets[-1]) != len(self.bytes):
            raise ValueError(f"{name}.bin has {len(self.bytes)} bytes, not those of its offsets")

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
        self.hash: str = self.properties["hash"]  # of the contents of the tables in `covered_tables`
        self.languages: list[str] = self.properties["languages"]
        # Stored relative to the index, so a recipe may use the dump of another one, and a tree may be moved.
        root = os.path.abspath(os.path.join(directory, self.properties["root"]))
        self._root = "" if root == os.getcwd() else root
        try:
            self._map_columns(self.properties["num_utterances"])
        except (OSError, ValueError) as error:
            raise UserError(f"{directory}: damaged ({error}); {_build_again(directory.parent)}") from None

    def _map_columns(self, rows: int) -> None:
        directory = self.directory
        self._utt_ids = StringColumn(directory, "utt_ids", rows)
        self._folders = StringColumn(directory, "folders")
        self._names = StringColumn(directory, "names", rows)
        mapped = {name: _map_column(directory / f"{name}.npy", dtype, rows) for name, dtype in COLUMNS.items()}
        self._folder_ids = mapped["folder_ids"]
        self.num_samples: np.ndarray = mapped["num_samples"]  # (rows,) int64
        self.mean: np.ndarray = mapped["mean"]  # (rows,) float32, of samples in [-1, 1]; NaN: see `waveform.statistics`
        self.variance: np.ndarray = mapped["variance"]  # (rows,) float32
        self.lang_ids: np.ndarray = mapped["lang_ids"]  # (rows,) int16, of `languages`

    @property
    def knows_samples(self) -> bool:
        """Whether other samples of equal names and lengths have another hash; not in indexes of older versions."""
        return covered_tables(self.properties) == HASHED_TABLES

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

    @property
    def name_columns(self) -> tuple[np.ndarray, StringColumn]:
        """((rows,) int32 folder of each row, what its audio entry names in there): which rows lie side by side."""
        return self._folder_ids, self._names

    def utt_id(self, row: int) -> str:
        return self._utt_ids[row]

    def path(self, row: int) -> str:
        """The audio entry of a row, as `read_audio` takes it."""
        folder = self._folders[self._folder_ids[row]]
        return os.path.join(folder if is_in_store(folder) else os.path.join(self._root, folder), self._names[row])

    def find(self, utt_id: str) -> int | None:
        """The row of an utterance, by binary search; None if the set does not have it."""
        key = utt_id.encode("utf-8")
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._utt_ids.raw(middle) < key:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self._utt_ids.raw(low) == key else None


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
        number_of = {language: number for number, language in enumerate(self.languages)}
        maps = [np.array([number_of[language] for language in part.languages], np.int16) for part in self.parts]
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


def _map_column(path: Path, dtype: type[np.generic], rows: int | None) -> np.ndarray:
    """A column of so many rows, as pages of its file; ValueError where it is anything else."""
    column = map_array(path)
    if column.dtype != dtype or column.ndim != 1 or (rows is not None and len(column) != rows):
        expected = "" if rows is None else f", expected ({rows},)"
        raise ValueError(f"{path.name} has shape {column.shape} and type {column.dtype}{expected}")
    return column


def _build_again(dump_set: Path) -> str:
    return f"run stage 6 again (python -m espnet2.bin.ssl_build_index {shlex.quote(str(dump_set))})"


def _read_properties(directory: Path) -> IndexJson:
    dump_set = directory.parent
    try:
        properties = read_index_card(directory)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{directory}: no index here; run stage 6 for {dump_set}") from None
    except ValueError as error:  # also of JSON
        raise UserError(f"{directory}: damaged, or of another version ({error}); {_build_again(dump_set)}") from None
    stamps, covered = table_stamps(dump_set), covered_tables(properties)
    changed = any(stamps[name] != properties["stamps"].get(name) for name in covered)
    if not changed or None in stamps.values():  # an index without its tables is used as it is
        return properties
    same = tables_hash(dump_set, covered) == properties["hash"]
    if same and covered != HASHED_TABLES:  # this hash does not know the samples, the one of the sources does
        same = sources_hash(dump_set) == properties["sources_hash"]
    if not same:
        raise UserError(
            f"{dump_set}: {', '.join(HASHED_TABLES[:-1])} or {HASHED_TABLES[-1]} changed since the index was built; "
            "run stage 6 again"
        )
    return properties
