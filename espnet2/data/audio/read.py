"""An audio entry of a wav.scp or an index ("x.flac", "x.ark:123") in, samples out, with cheap access to any part."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile

from espnet2.data.audio.entry import Entry, parse_entry
from espnet2.data.audio.opened import open_entry
from espnet2.data.audio.views import View
from espnet2.utils.errors import UserError

# Formats in which libsndfile seeks to the very sample and decodes there what it would on the way. In others (MP3,
# Opus, Vorbis) what lies before a part is decoded and dropped.
EXACT_SEEK = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC")


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
    with open_entry(entry) as opened, soundfile.SoundFile(View(opened.stream, (opened.range,))) as audio:
        yield audio


def read_audio(entry: str, *, start: int = 0, num_samples: int | None = None) -> tuple[np.ndarray, int]:
    """Read formatted (mono) audio, or a part of it.

    Args:
        entry: see `espnet2.data.audio.entry`; what `AudioIndex.path` gives.
        start: the first sample, of those that the entry names.
        num_samples: how many; the rest of them by default.

    Returns:
        (samples,) float32 in [-1, 1], and the sample rate in Hz.

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
            samples = _read(audio, start, num_samples)
            sample_rate = audio.samplerate
    except FileNotFoundError:
        raise UserError(f"{entry}: no such file; was it moved since stage 3? Run stage 3 again") from None
    except (ValueError, OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{entry}: cannot be read ({error}); it changed since stage 3: run stage 3 again") from None
    if num_samples is not None and len(samples) != num_samples:
        raise UserError(
            f"{entry}: ends at sample {start + len(samples)}, expected at least {start + num_samples}; "
            "it changed since stage 3: run stages 3 to 6 again"
        )
    return samples, sample_rate


def _read(audio: soundfile.SoundFile, start: int, num_samples: int | None) -> np.ndarray:
    """(samples,) float32 from `start` on, fewer where the audio ends."""
    if start and audio.format in EXACT_SEEK:
        audio.seek(start)
        start = 0
    samples: np.ndarray = audio.read(-1 if num_samples is None else start + num_samples, dtype="float32")
    return samples[start:] if start else samples
