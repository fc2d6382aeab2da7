"""An audio entry of a wav.scp ("x.flac", "x.ark:123") in, samples out, with cheap access to any part."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile

from espnet2.utils.errors import UserError

ARK_ENTRY = re.compile(r"(.+):(\d+)")  # "<ark>:<byte offset>", as Kaldi writes it
RIFF_HEADER_BYTES = 44  # a RIFF length below this was never filled in (the writer could not seek): read to the end


class FileRegion(io.RawIOBase):
    """Bytes `start`..`stop` of an open file, seen as a file of their own."""

    def __init__(self, stream: BinaryIO, start: int, stop: int) -> None:
        super().__init__()
        self.stream, self.start, self.size = stream, start, stop - start
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: memoryview) -> int:
        wanted = min(len(buffer), max(0, self.size - self.position))
        self.stream.seek(self.start + self.position)
        count = self.stream.readinto(memoryview(buffer)[:wanted])
        self.position += count
        return count


def ark_region(stream: BinaryIO, offset: int) -> FileRegion:
    """The audio file embedded in an ark at `offset` (just after the key and its space).

    Two layouts exist: a plain RIFF file (Kaldi's wav.ark), and "AUDIO", the number of bytes of a length, that length
    (little-endian), and a file of any format (kaldiio's flac.ark).

    Raises:
        ValueError: neither layout is found there.
    """
    end = stream.seek(0, os.SEEK_END)
    stream.seek(offset)
    head = stream.read(8)
    if head[:4] == b"RIFF":
        stop = offset + 8 + int.from_bytes(head[4:], "little")
        return FileRegion(stream, offset, min(stop, end) if stop > offset + RIFF_HEADER_BYTES else end)
    if head[:5] == b"AUDIO" and len(head) == 8:
        stream.seek(offset + 6)
        length = int.from_bytes(stream.read(head[5]), "little")
        start = offset + 6 + head[5]
        if start + length > end:
            raise ValueError(f"the ark ends {start + length - end} bytes too early")
        return FileRegion(stream, start, start + length)
    raise ValueError(f"no audio at byte {offset} of the ark")


@contextmanager
def open_audio(entry: str) -> Iterator[soundfile.SoundFile]:
    """Open a file or an ark entry for reading.

    Raises:
        FileNotFoundError, ValueError, soundfile.LibsndfileError: it is missing, or is not audio.
    """
    match = ARK_ENTRY.fullmatch(entry)
    if match is None:
        if not os.path.exists(entry):
            raise FileNotFoundError(entry)
        with soundfile.SoundFile(entry) as audio:
            yield audio
        return
    with open(match[1], "rb") as stream, soundfile.SoundFile(ark_region(stream, int(match[2]))) as audio:
        yield audio


def read_audio(entry: str, *, start: int = 0, num_samples: int | None = None) -> tuple[np.ndarray, int]:
    """Read formatted (mono) audio, or a part of it.

    Args:
        entry: a file that libsndfile reads, or "<ark>:<offset>"; what `AudioIndex.path` gives.
        start: the first sample.
        num_samples: how many; the rest of the file by default.

    Returns:
        (samples,) float32 in [-1, 1], and the sample rate in Hz.

    Raises:
        UserError: the entry is missing, is not mono audio, or is shorter than asked for.
    """
    try:
        with open_audio(entry) as audio:
            if audio.channels != 1:
                raise UserError(
                    f"{entry}: {audio.channels} channels; training reads the mono audio that stage 3 writes"
                )
            if start:
                audio.seek(start)
            samples = audio.read(-1 if num_samples is None else num_samples, dtype="float32")
            sample_rate = audio.samplerate
    except FileNotFoundError:
        raise UserError(f"{entry}: no such file; was it moved since stage 3? Run stage 3 again") from None
    except (ValueError, soundfile.LibsndfileError) as error:
        raise UserError(f"{entry}: cannot be read ({error}); it changed since stage 3: run stage 3 again") from None
    if num_samples is not None and len(samples) != num_samples:
        raise UserError(
            f"{entry}: ends at sample {start + len(samples)}, expected at least {start + num_samples}; "
            "it changed since stage 3: run stages 3 to 6 again"
        )
    return samples, sample_rate
