"""The files that an array job writes (Kaldi arks, npy or text); a stopped job goes on behind its last utterance."""

import json
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TypedDict

import numpy as np

from espnet2.units.sampling import write_array_header
from espnet2.utils.files import atomic_write, read_json, read_json_lines, write_json

ARK, NPY, UNITS = "ark", "npy", "units"
KINDS = (ARK, NPY, UNITS)
TABLES = {ARK: "feats.scp", NPY: "feats.scp", UNITS: "units.txt"}


class _Finished(TypedDict):
    utt: str
    ends: list[int]  # length of the data file of each folder behind this utterance, bytes; [] for npy


class JournalEntry(_Finished, total=False):
    """A line of the journal: one utterance, written or left out."""

    rejected: str  # why there is no audio; only where there is none, and then nothing of the next two
    frames: int
    entries: list[str]  # what the table of each folder says of it


class DumpFiles(AbstractContextManager["DumpFiles"]):
    """What one array job writes: for each layer a folder with data and a table; one journal for all of them.

    The journal has a line per finished utterance, with the length of each data file: what comes behind is cut off.
    """

    def __init__(self, folders: Sequence[Path], kind: str, job: int, fingerprint: str) -> None:
        self.folders, self.kind, self.job, self.fingerprint = tuple(folders), kind, job, fingerprint
        self.journal_path = folders[0] / f".dump.{job}.jsonl"
        self.card_path = folders[0] / f"dump.{job}.json"
        self.entries: list[JournalEntry] = []
        self.journal: IO[str] | None = None
        self.data: list[IO[bytes]] = []

    @property
    def is_done(self) -> bool:
        """Whether the job finished before, with exactly this."""
        return (read_json(self.card_path) or {}).get("fingerprint") == self.fingerprint

    def __enter__(self) -> "DumpFiles":
        self.card_path.unlink(missing_ok=True)
        self.entries = self._read_journal()
        ends = (self.entries[-1]["ends"] if self.entries else []) or [0] * len(self.folders)
        for folder, end in zip(self.folders, ends, strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            if self.kind != NPY:
                stream = open(self._data_path(folder), "r+b" if end else "w+b")
                stream.truncate(end)
                stream.seek(end)
                self.data.append(stream)
        self.journal = open(self.journal_path, "w", encoding="utf-8")
        for line in ({"fingerprint": self.fingerprint}, *self.entries):
            print(json.dumps(line), file=self.journal)
        self.journal.flush()
        return self

    def __exit__(self, *error: object) -> None:
        for stream in self.data:
            stream.close()
        if self.journal is not None:
            self.journal.close()

    def _read_journal(self) -> list[JournalEntry]:
        """Finished utterances of a stopped job; none where it did something else. A line cut short ends them."""
        lines = list(read_json_lines(self.journal_path))
        same = bool(lines) and lines[0] == {"fingerprint": self.fingerprint}
        there = self.kind == NPY or all(self._data_path(folder).exists() for folder in self.folders)
        return lines[1:] if same and there else []

    def _data_path(self, folder: Path) -> Path:
        return folder / (f"feats.{self.job}.ark" if self.kind == ARK else f".units.{self.job}.txt")

    def reject(self, utt_id: str, why: str) -> None:
        """Note an utterance without audio."""
        self._note({"utt": utt_id, "rejected": why, "ends": [stream.tell() for stream in self.data]})

    def write(self, utt_id: str, number: int, parts: Iterator[np.ndarray], dim: int) -> None:
        """Write one utterance.

        Args:
            parts: (layers, frames, dim) float32 in the order of time; units are whole numbers, with a `dim` of 1.
        """
        begins = [stream.tell() for stream in self.data]
        if self.kind == NPY:
            count, entries = self._write_npy(utt_id, number, parts, dim)
        else:
            count = self._write_stream(utt_id, parts, dim)
            offsets = [begin + len(utt_id.encode()) + 1 for begin in begins]
            paths = [self._data_path(folder) for folder in self.folders]
            entries = [f"{path}:{offset}" for path, offset in zip(paths, offsets, strict=True)]
        for stream in self.data:
            stream.flush()
        ends = [stream.tell() for stream in self.data]
        self._note({"utt": utt_id, "frames": count, "entries": entries, "ends": ends})

    def _write_stream(self, utt_id: str, parts: Iterator[np.ndarray], dim: int) -> int:
        """To arks ("BFM", rows, columns: Kaldi's float matrix), or to lines of text."""
        count_offsets = []  # of the numbers of rows, which are known at the end
        for stream in self.data:
            stream.write(utt_id.encode())
            if self.kind == ARK:
                stream.write(b" \0BFM \4")
                count_offsets.append(stream.tell())
                stream.write(struct.pack("<iBi", 0, 4, dim))
        count = 0
        for part in parts:
            count += part.shape[1]
            for stream, frames in zip(self.data, part, strict=True):
                if self.kind == ARK:
                    stream.write(np.ascontiguousarray(frames, dtype="<f4").tobytes())
                else:
                    stream.write("".join(f" {unit}" for unit in frames[:, 0].astype(np.int64).tolist()).encode())
        for stream, offset in zip(self.data, count_offsets, strict=False):
            stream.seek(offset)
            stream.write(struct.pack("<i", count))
            stream.seek(0, 2)
        if self.kind == UNITS:
            for stream in self.data:
                stream.write(b"\n")
        return count

    def _write_npy(self, utt_id: str, number: int, parts: Iterator[np.ndarray], dim: int) -> tuple[int, list[str]]:
        fits = "/" not in utt_id and not utt_id.startswith(".")
        name = f"{utt_id if fits else f'row_{number:09d}'}.npy"
        paths = [folder / "npy" / name for folder in self.folders]
        count = 0
        beside = [path.with_name(f".{path.name}.part") for path in paths]
        for path in beside:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as stream:
                write_array_header(stream, 0, dim)
        for part in parts:
            count += part.shape[1]
            for path, frames in zip(beside, part, strict=True):
                with open(path, "ab") as stream:
                    stream.write(np.ascontiguousarray(frames, dtype="<f4").tobytes())
        for path, final in zip(beside, paths, strict=True):
            with open(path, "r+b") as stream:
                write_array_header(stream, count, dim)
            path.replace(final)
        return count, [str(path) for path in paths]

    def _note(self, entry: JournalEntry) -> None:
        self.entries.append(entry)
        print(json.dumps(entry), file=self.journal, flush=True)

    def finish(self) -> None:
        """Write the tables of this job and, last, its card; call it after the block."""
        kept = [entry for entry in self.entries if "frames" in entry]
        for layer, folder in enumerate(self.folders):
            if self.kind == UNITS:
                self._data_path(folder).replace(self.table(folder, self.job))
            else:
                with atomic_write(self.table(folder, self.job)) as stream:
                    stream.writelines(f"{entry['utt']} {entry['entries'][layer]}\n" for entry in kept)
            with atomic_write(folder / f"utt2num_frames.{self.job}") as stream:
                stream.writelines(f"{entry['utt']} {entry['frames']}\n" for entry in kept)
        with atomic_write(self.folders[0] / f"rejected.{self.job}.tsv") as stream:
            stream.writelines(f"{entry['utt']}\t{entry['rejected']}\n" for entry in self.entries if "rejected" in entry)
        write_json(self.card_path, {"fingerprint": self.fingerprint, "num_utterances": len(kept)})
        self.journal_path.unlink()

    def table(self, folder: Path, job: int) -> Path:
        """feats.<job>.scp or units.<job>.txt."""
        stem, _, suffix = TABLES[self.kind].partition(".")
        return folder / f"{stem}.{job}.{suffix}"


def merge_tables(files: DumpFiles, fingerprints: Sequence[str]) -> list[Path]:
    """Join the tables of all jobs, once the last of them is done; [] while any is missing.

    Args:
        fingerprints: of job 1, 2, ...
    """
    first = files.folders[0]
    cards = [read_json(first / f"dump.{job}.json") for job in range(1, len(fingerprints) + 1)]
    if any((card or {}).get("fingerprint") != mark for card, mark in zip(cards, fingerprints, strict=True)):
        return []
    jobs = range(1, len(fingerprints) + 1)
    merged = []
    for folder in files.folders:
        merged.append(_join([files.table(folder, job) for job in jobs], folder / TABLES[files.kind]))
        _join([folder / f"utt2num_frames.{job}" for job in jobs], folder / "utt2num_frames")
    _join([first / f"rejected.{job}.tsv" for job in jobs], first / "rejected.tsv")
    return merged


def _join(parts: Sequence[Path], target: Path) -> Path:
    with atomic_write(target, "wb") as stream:
        for part in parts:
            with open(part, "rb") as lines:
                shutil.copyfileobj(lines, stream)
    return target
