"""A Kaldi data folder (wav.scp with files, arks or pipes; segments) in, its waveforms at a model's rate out."""

import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from espnet2.data.audio.decode import Recording, open_recording
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format.convert import convert_blocks
from espnet2.data.format.plan import FormatOptions, Utterance, list_file, utterances
from espnet2.data.format.usable import check_clipping
from espnet2.data.format.write import FULL_SCALE, Clipping, SampleSums
from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file
from espnet2.utils.kaldi_table import read_table

SPOOL_SECONDS = 600.0  # longer waveforms lie in a temporary file instead of memory
Item = TypeVar("Item")


class Loaded(NamedTuple):
    """One utterance, or why there is no audio of it."""

    utt_id: str
    number: int  # from 0, in the whole list
    wav: Tensor | None  # (samples,) float32, scaled as the model wants it; mapped from a file if it is long
    rejected: str = ""


class KaldiAudio:
    """The utterances of data/<set> or dump/<set>, decoded as stage 3 does it: both give the same samples."""

    def __init__(
        self, data_dir: Path, sample_rate: int, scratch: Path, *, channel: int | None, normalize: bool
    ) -> None:
        if not (data_dir / "wav.scp").is_file():
            raise UserError(f"{data_dir}/wav.scp: no such file; expected a Kaldi data folder")
        self.data_dir, self.scratch, self.normalize = data_dir, scratch, normalize
        self.options = FormatOptions(sample_rate, "flac", channel)
        self.entries = read_table(data_dir / "wav.scp")
        with open(list_file(data_dir), "rb") as stream:
            self.num_utterances = sum(1 for _ in stream)

    @property
    def hash(self) -> str:
        """Of the tables."""
        names = [name for name in ("wav.scp", "segments") if (self.data_dir / name).is_file()]
        return hash_bytes(*(hash_file(self.data_dir / name) for name in names))

    def load(self, start: int, stop: int) -> Iterator[Loaded]:
        """Utterances number `start`..`stop`, in the order of the folder.

        Raises:
            UserError: a line of segments is malformed, or names a recording that wav.scp lacks.
        """
        with ExitStack() as stack:
            opened: tuple[str, Recording | RejectedAudio] | None = None
            for item in utterances(self.data_dir, start, stop):
                if item.recording_id not in self.entries:
                    raise UserError(f"{self.data_dir}/segments: recording '{item.recording_id}' is not in wav.scp")
                if opened is None or opened[0] != item.recording_id:
                    stack.close()
                    opened = (item.recording_id, self._open(stack, item.recording_id))
                try:
                    yield Loaded(item.utt_id, item.number, self._read(opened[1], item))
                except RejectedAudio as error:
                    yield Loaded(item.utt_id, item.number, None, f"{error.reason}: {error.detail}")

    def load_one(self, item: Utterance) -> Tensor:
        """One utterance by itself: (samples,) as `load` gives it.

        Raises:
            RejectedAudio: it cannot be read.
            UserError: wav.scp lacks its recording.
        """
        if item.recording_id not in self.entries:
            raise UserError(f"{self.data_dir}/segments: recording '{item.recording_id}' is not in wav.scp")
        with ExitStack() as stack:
            return self._read(self._open(stack, item.recording_id), item)

    def _open(self, stack: ExitStack, recording_id: str) -> Recording | RejectedAudio:
        try:
            return stack.enter_context(open_recording(self.entries[recording_id], self.scratch))
        except RejectedAudio as error:
            return error

    def _read(self, recording: Recording | RejectedAudio, item: Utterance) -> Tensor:
        if isinstance(recording, RejectedAudio):
            raise RejectedAudio(recording.reason, recording.detail)
        if item.start_seconds is None:
            start, stop = recording.whole()
        else:
            start, stop = recording.span(item.start_seconds, item.end_seconds)
        sums = SampleSums()
        samples = _Samples(self.scratch, round(SPOOL_SECONDS * self.options.sample_rate))
        clipping = Clipping()
        for block in convert_blocks(recording, start, stop, self.options, clipping):
            sums.add(block)
            samples.add(block)
        if sums.count == 0:
            raise RejectedAudio("empty", "0 samples")
        check_clipping(sums, clipping, self.options)
        wav = samples.finish()
        if self.normalize:
            for part in wav.split(samples.limit):
                part.sub_(sums.mean).div_((sums.variance + VARIANCE_FLOOR) ** 0.5)
        return wav


class _Samples:
    """Blocks of one waveform, in memory up to a limit, then in a file without a name."""

    def __init__(self, scratch: Path, limit: int) -> None:
        self.scratch, self.limit = scratch, limit
        self.blocks: list[np.ndarray] = []
        self.count = 0
        self.spool: IO[bytes] | None = None

    def add(self, block: np.ndarray) -> None:
        """(samples,) int16."""
        self.blocks.append(block.astype(np.float32) / FULL_SCALE)
        self.count += len(block)
        if self.count > self.limit:
            self.spool = self.spool or tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115 - lives with the map
            self.spool.writelines(block.tobytes() for block in self.blocks)
            self.blocks = []

    def finish(self) -> Tensor:
        """(samples,) float32."""
        if self.spool is None:
            return torch.from_numpy(np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.float32))
        self.spool.flush()
        return torch.from_numpy(np.memmap(self.spool, dtype=np.float32, mode="r+", shape=(self.count,)))


def windows(items: Iterable[Loaded], limit_samples: int) -> Iterator[list[Loaded]]:
    """Utterances in order, together as long as they fit; one that is longer by itself."""
    window: list[Loaded] = []
    total = 0
    for item in items:
        count = 0 if item.wav is None else len(item.wav)
        if window and total + count > limit_samples:
            yield window
            window, total = [], 0
        window.append(item)
        total += count
    if window:
        yield window


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; the next one is made in a thread while the present one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
