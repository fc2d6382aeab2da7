"""An audio entry of a wav.scp or an index ("x.flac", "x.ark:123") in, samples out, with cheap access to any part."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile

from espnet2.data.audio.entry import Entry, parse_entry
from espnet2.data.audio.opened import OpenedEntry, open_entry
from espnet2.data.audio.views import View
from espnet2.utils.errors import UserError

# Formats in which libsndfile seeks to the very sample and decodes there what it would on the way. In others (MP3,
# Opus, Vorbis) what lies before a part is decoded and dropped; so it is with codecs that cannot seek (GSM, G.721), and
# with DWVW, of which libsndfile says that it could.
EXACT_SEEK = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC")
# An audio file inside another one is read into memory up to this size, about a minute of 16-bit audio: the decoder asks
# for 8 kB at a time, and each time would enter Python. Of a longer one a crop needs but a part.
COPIED_BYTES = 1 << 21


@contextmanager
def open_audio(entry: str | Entry) -> Iterator[soundfile.SoundFile]:
    """Open what an entry names for reading; the whole recording where it names a part.

    Raises:
        FileNotFoundError, ValueError, soundfile.LibsndfileError: it is missing, or is not audio.
        UserError: a store cannot be reached, or a package is not installed.
    """
    entry = parse_entry(entry) if isinstance(entry, str) else entry
    if entry.part is None and "://" not in entry.file:
        if not os.path.exists(entry.file):
            raise FileNotFoundError(entry.file)
        with soundfile.SoundFile(entry.file) as audio:
            yield audio
        return
    with open_entry(entry) as opened, soundfile.SoundFile(_stream(opened)) as audio:
        yield audio


def _stream(opened: OpenedEntry) -> io.RawIOBase | io.BytesIO:
    """The bytes of an audio file, as a stream of their own."""
    if isinstance(opened.stream, io.BytesIO):  # a cell of a Parquet file
        return opened.stream
    if len(opened.range) > COPIED_BYTES:
        return View(opened.stream, (opened.range,))
    return io.BytesIO(opened.data[opened.range.start : opened.range.stop])


def read_audio(
    entry: str, *, start: int = 0, num_samples: int | None = None, out: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """Read formatted (mono) audio, or a part of it.

    Args:
        entry: see `espnet2.data.audio.entry`; what `AudioIndex.path` gives.
        start: the first sample, of those that the entry names.
        num_samples: how many; the rest of them by default.
        out: (num_samples,) float32, contiguous: where the samples go, which saves a copy.

    Returns:
        (samples,) float32 in [-1, 1], which is `out` where that is given, and the sample rate in Hz.

    Raises:
        UserError: the entry is missing, is not mono audio, or is shorter than asked for.
    """
    parsed = parse_entry(entry)
    if parsed.num_samples is not None:
        num_samples = max(0, parsed.num_samples - start) if num_samples is None else num_samples
        if start + num_samples > parsed.num_samples:
            raise UserError(f"{entry}: holds {parsed.num_samples} samples, asked for {start + num_samples}")
    start += parsed.first_sample
    try:
        with open_audio(parsed) as audio:
            if audio.channels != 1:
                raise UserError(
                    f"{entry}: {audio.channels} channels; training reads the mono audio that stage 3 writes"
                )
            samples = _read(audio, start, num_samples, out)
            sample_rate = audio.samplerate
    except FileNotFoundError:
        raise UserError(f"{entry}: no such file; was it moved since stage 3? Run stage 3 again") from None
    except (ValueError, OSError, soundfile.LibsndfileError) as error:
        why = getattr(error, "error_string", error)
        raise UserError(f"{entry}: cannot be read ({why}); it changed since stage 3: run stage 3 again") from None
    if num_samples is not None and len(samples) != num_samples:
        raise UserError(
            f"{entry}: ends at sample {start + len(samples)}, expected at least {start + num_samples}; "
            "it changed since stage 3: run stages 3 to 6 again"
        )
    return samples, sample_rate


def _read(audio: soundfile.SoundFile, start: int, num_samples: int | None, out: np.ndarray | None) -> np.ndarray:
    """(samples,) float32 from `start` on, fewer where the audio ends; `out` where that is given and filled."""
    is_exact = audio.format in EXACT_SEEK and audio.seekable() and not audio.subtype.startswith("DWVW")
    position = start if is_exact else 0
    if position:
        audio.seek(position)
    num_left = max(0, audio.frames - position)
    count = num_left if num_samples is None else min(num_left, start - position + num_samples)
    # soundfile goes to where it stands after every read of what can seek; a FLAC decoder then looks for its place anew.
    audio.seekable = lambda: False
    if out is not None and count == len(out):  # nothing before `start` has to be decoded, and nothing is missing
        filled: np.ndarray = audio.read(out=out)
        return filled
    samples: np.ndarray = audio.read(count, dtype="float32")[start - position :]
    if out is None or len(samples) != len(out):
        return samples
    out[:] = samples
    return out
