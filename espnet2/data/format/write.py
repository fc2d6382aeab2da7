"""The writers of 16-bit samples: audio files or ark entries, whole or not at all."""

import io
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

AUDIO_FORMATS = {"wav": "WAV", "flac": "FLAC", "wav.ark": "WAV", "flac.ark": "FLAC"}  # ours -> libsndfile's
FILES_PER_FOLDER = 1000
UTTERANCES_PER_ARK = 100  # by number in the list, so the arks are the same for any number of jobs
MAX_NAME_BYTES = 200  # of a file name, below the 255 of the usual file systems
FULL_SCALE = 32768  # of 16-bit samples


@dataclass
class SampleSums:
    """Exact sums over 16-bit samples."""

    count: int = 0
    total: int = 0
    squares: int = 0

    def add(self, block: np.ndarray) -> None:
        values = block.astype(np.float64)  # exact: 2**18 squares of 16-bit numbers stay below 2**53
        self.count += len(block)
        self.total += int(values.sum())
        self.squares += int(values @ values)

    @property
    def mean(self) -> float:
        """Of the samples in [-1, 1]."""
        return self.total / self.count / FULL_SCALE

    @property
    def variance(self) -> float:
        """Of the samples in [-1, 1]; Python's integers keep the difference exact."""
        return (self.squares * self.count - self.total**2) / self.count**2 / FULL_SCALE**2


@dataclass
class Clipping:
    """What went beyond full scale on the way to 16 bits."""

    count: int = 0  # samples
    peak: float = 0.0  # 1 is full scale

    def to_int16(self, block: np.ndarray) -> np.ndarray:
        """(samples,) float32 -> int16, and what of it had to be clipped is counted."""
        peak = float(np.abs(block).max(initial=0.0))
        self.peak = max(self.peak, peak)
        if peak > 1:
            self.count += int(np.count_nonzero(np.abs(block) > 1))
        clipped: np.ndarray = np.clip(np.rint(block * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
        return clipped


Blocks = Iterable[np.ndarray]  # (samples,) int16 each
Check = Callable[[SampleSums], None]


class _Sink(io.RawIOBase):
    """A file that starts at the present end of `stream`, for libsndfile to write into.

    An error of the system (disk full) cannot pass through libsndfile: it is kept for the caller to raise.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self.stream = stream
        self.start = self.end = stream.seek(0, os.SEEK_END)
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.stream.tell() - self.start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: self.start, os.SEEK_CUR: self.stream.tell(), os.SEEK_END: self.end}[whence]
        try:
            return self.stream.seek(base + offset) - self.start  # writes what is buffered
        except OSError as error:
            self.error = self.error or error
            return self.stream.tell() - self.start

    def write(self, data: bytes) -> int:
        try:
            count = self.stream.write(data)
        except OSError as error:
            self.error = self.error or error
            return 0
        self.end = max(self.end, self.stream.tell())
        return count


def _encode(stream: BinaryIO, blocks: Blocks, sample_rate: int, container: str) -> SampleSums:
    sums, sink = SampleSums(), _Sink(stream)
    try:
        with soundfile.SoundFile(sink, "w", sample_rate, 1, "PCM_16", format=container) as audio:
            for block in blocks:
                sums.add(block)
                audio.write(block)
    except (soundfile.LibsndfileError, AssertionError):  # soundfile asserts that all samples were written
        if sink.error is None:
            raise
    if sink.error is not None:
        raise OSError(sink.error.errno, sink.error.strerror, stream.name)
    stream.seek(0, os.SEEK_END)
    return sums


class FileWriter:
    """One file per utterance, a thousand to a folder."""

    def __init__(self, folder: Path, sample_rate: int, audio_format: str) -> None:
        self.folder, self.sample_rate, self.audio_format = folder, sample_rate, audio_format

    def write(self, number: int, utt_id: str, blocks: Blocks, *, check: Check) -> tuple[str, SampleSums]:
        """Write utterance `number` of the list, unless `check` raises; returns its entry for wav.scp."""
        path, beside = self._paths(number, utt_id)
        try:
            with open(beside, "wb") as stream:
                sums = _encode(stream, blocks, self.sample_rate, AUDIO_FORMATS[self.audio_format])
            check(sums)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return str(path), sums

    def copy(self, number: int, utt_id: str, source: str) -> str:
        """Copy a file that needs no change."""
        path, beside = self._paths(number, utt_id)
        try:
            shutil.copyfile(source, beside)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return str(path)

    def _paths(self, number: int, utt_id: str) -> tuple[Path, Path]:
        folder = self.folder / f"{number // FILES_PER_FOLDER:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        fits = "/" not in utt_id and not utt_id.startswith(".") and len(utt_id.encode()) <= MAX_NAME_BYTES
        name = f"{utt_id if fits else f'row_{number:09d}'}.{self.audio_format}"
        return folder / name, folder / f".{number:09d}.part"

    def close(self) -> None:
        """Nothing is open between utterances."""


class ArkWriter:
    """A hundred utterances to an ark: "<utt> ", then RIFF (wav.ark) or "AUDIO", 8, its length and the file."""

    def __init__(self, folder: Path, sample_rate: int, audio_format: str) -> None:
        self.folder, self.sample_rate = folder, sample_rate
        self.container = AUDIO_FORMATS[audio_format]
        self.path: Path | None = None
        self.stream: BinaryIO | None = None

    def write(self, number: int, utt_id: str, blocks: Blocks, *, check: Check) -> tuple[str, SampleSums]:
        """Append utterance `number` of the list, unless `check` raises; returns its entry for wav.scp."""
        self._open_for(number)
        start = self.stream.seek(0, os.SEEK_END)
        try:
            self.stream.write(utt_id.encode() + b" ")
            offset = self.stream.tell()
            if self.container == "FLAC":
                self.stream.write(b"AUDIO\x08" + bytes(8))
            first = self.stream.tell()
            sums = _encode(self.stream, blocks, self.sample_rate, self.container)
            check(sums)
            if self.container == "FLAC":
                self._fill_length(offset, first)
        except BaseException:
            self.stream.seek(start)
            self.stream.truncate()
            raise
        return f"{self.path}:{offset}", sums

    def _fill_length(self, offset: int, first: int) -> None:
        length = self.stream.tell() - first
        self.stream.seek(offset + len(b"AUDIO\x08"))
        self.stream.write(length.to_bytes(8, "little"))
        self.stream.seek(0, os.SEEK_END)

    def _open_for(self, number: int) -> None:
        path = self.folder / f"data.{number // UTTERANCES_PER_ARK:06d}.ark"
        if path == self.path:
            return
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.stream = open(f"{path}.part", "w+b")  # noqa: SIM115 - closed by close()

    def close(self) -> None:
        """Give the ark its name: only now is it whole."""
        if self.stream is not None:
            self.stream.close()
            os.replace(f"{self.path}.part", self.path)
            self.stream = None


def open_writer(folder: Path, sample_rate: int, audio_format: str) -> FileWriter | ArkWriter:
    """The writer of one of `AUDIO_FORMATS`, below `folder`."""
    writer = ArkWriter if audio_format.endswith(".ark") else FileWriter
    return writer(folder, sample_rate, audio_format)
