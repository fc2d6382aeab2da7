"""An audio entry of a wav.scp ("x.flac", "x.ark:123") in, samples out, with cheap access to any part."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile

from espnet2.data.audio.link import FileBytes
from espnet2.data.audio.links import entry_range
from espnet2.data.audio.source import ARK_ENTRY
from espnet2.data.audio.views import View
from espnet2.utils.errors import UserError


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
    with open(match[1], "rb") as stream:
        whole = entry_range(FileBytes(stream.fileno()), int(match[2]))
        with soundfile.SoundFile(View(stream, (whole,))) as audio:
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
