"""Arrays in, PNG pictures that a page carries in itself out: a spectrogram, and a heat map that fits any background."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HUE = (47, 111, 237)  # of the heat map, red, green and blue; its strength is how opaque it is
LOUDEST_DECIBELS, QUIETEST_DECIBELS = 0.0, -70.0  # shown range below the loudest band of the utterance
MEL_BANDS = 80
FRAMES_PER_SECOND = 100


def data_uri(content: bytes, mime: str) -> str:
    """What `src` of an image or of audio may be instead of an address."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def heat_map_png(values: Sequence[Sequence[float]]) -> str:
    """(rows, columns) from 0 to 1 -> one pixel each, as a data URI."""
    shares = np.asarray(values, dtype=np.float64)
    picture = np.empty((*shares.shape, 4), dtype=np.uint8)
    picture[..., :3] = HUE
    picture[..., 3] = np.rint(255 * np.sqrt(np.clip(shares, 0, 1)))  # small shares are seen, too
    return _png(picture)


def spectrogram_png(audio: Path) -> str:
    """The spectrogram of an audio file as a data URI.

    Raises:
        OSError, RuntimeError: the file is gone or is no audio.
    """
    return _png(spectrogram(audio))


def spectrogram(audio: Path) -> np.ndarray:
    """Log-mel energies of an audio file in colours: (bands, frames, 3) of 8 bits, low bands last, 100 per second.

    Raises:
        OSError, RuntimeError: the file is gone or is no audio.
    """
    import soundfile
    import torch
    from matplotlib import colormaps
    from torchaudio.compliance.kaldi import fbank

    samples, rate = soundfile.read(audio, dtype="float32")
    mel = fbank(torch.from_numpy(samples)[None], num_mel_bins=MEL_BANDS, sample_frequency=float(rate), dither=0.0)
    decibels = mel.numpy().T[::-1] * (10 / np.log(10))
    shown = (decibels - decibels.max() - QUIETEST_DECIBELS) / (LOUDEST_DECIBELS - QUIETEST_DECIBELS)
    picture: np.ndarray = (colormaps["magma"](np.clip(shown, 0, 1))[..., :3] * 255).astype(np.uint8)
    return picture


def _png(picture: np.ndarray) -> str:
    """(rows, columns, 3 or 4) of 8 bits."""
    from matplotlib.image import imsave  # slow to import

    stream = io.BytesIO()
    imsave(stream, picture, format="png")
    return data_uri(stream.getvalue(), "image/png")
