"""The arithmetic of reverberation, overlay and speed: nothing random, no files.

NumPy computes all of it in one thread, so the bytes do not depend on which process does.
"""

import math
from typing import TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.packed import unlabelled

Wave = NDArray[np.float32]  # (samples,)
Count = TypeVar("Count", int, NDArray[np.integer])
SPEED_STEPS = 1000  # speeds have three decimals: lengths follow in whole numbers, and the resampler's ratio is small


def power(wav: Wave) -> float:
    """Mean square, in double precision; 0 for no samples."""
    return float(np.mean(np.square(wav, dtype=np.float64))) if len(wav) else 0.0


def from_db(decibels: float) -> float:
    """The factor of amplitudes.

    >>> round(from_db(20.0), 6)
    10.0
    """
    return math.pow(10.0, decibels / 20.0)


def overlaid(wav: Wave, other: Wave, *, start: int, ratio_db: float) -> Wave:
    """`wav` with `other` laid over it; the ratio of powers is that of the overlapped part.

    Args:
        start: the first sample of `wav` under `other`.
        ratio_db: power of `wav` over that of `other`, both on the overlapped part only.

    Returns:
        (samples,) a new array; unchanged where either part is silent, for which no ratio exists.
    """
    covered = wav[start : start + len(other)]
    target, present = power(covered) / from_db(ratio_db) ** 2, power(other)
    mixed: Wave = wav.copy()
    if target > 0.0 and present > 0.0:
        mixed[start : start + len(other)] += np.float32(math.sqrt(target / present)) * other
    return mixed


def reverberated(wav: Wave, response: Wave) -> Wave:
    """The wave in the room of an impulse response, as long, as loud and not later than before.

    The largest value of the response is the direct path; what comes before the wave has travelled it is cut off, so
    that frames and labels stay where they were (Kaldi's wav-reverberate --shift-output does the same).

    Returns:
        (samples,); unchanged where the result would be silent.
    """
    delay = int(np.argmax(np.abs(response)))
    size = _quick_length(len(wav) + len(response) - 1)
    spectrum = np.fft.rfft(wav.astype(np.float64), size) * np.fft.rfft(response.astype(np.float64), size)
    wet = np.fft.irfft(spectrum, size)[delay : delay + len(wav)]
    before, after = power(wav), float(np.mean(np.square(wet)))
    if before == 0.0 or after == 0.0:
        return wav
    return (wet * math.sqrt(before / after)).astype(np.float32)


def _quick_length(minimum: int) -> int:
    """The smallest 1, 3 or 5 times a power of two that is not below `minimum`: lengths with a quick FFT.

    >>> _quick_length(1100)
    1280
    """
    return min(factor << max(0, (minimum - 1) // factor).bit_length() for factor in (1, 3, 5))


def source_samples(num_samples: Count, speed: float) -> Count:
    """Samples that are read to play `num_samples` at a speed: 1.1 is 10 % faster and higher, as sox's `speed`.

    >>> source_samples(12800, 1.25)
    16000
    """
    thousandths = round(speed * SPEED_STEPS)  # whole numbers: 0.9 has no exact float
    return -(-num_samples * thousandths // SPEED_STEPS)


def played_samples(num_samples: Count, speed: float) -> Count:
    """Samples that an utterance of `num_samples` has at a speed: the most whose `source_samples` it holds.

    >>> played_samples(16000, 1.25)
    12800
    """
    return num_samples * SPEED_STEPS // round(speed * SPEED_STEPS)


def resampled(wav: Wave, *, rate_in: float, rate_out: float, num_samples: int) -> Wave:
    """The wave at another rate, cut or filled with zeros to `num_samples` (it is off by a sample at most)."""
    wav = soxr.resample(wav, rate_in, rate_out)[:num_samples]
    return np.pad(wav, (0, num_samples - len(wav))).astype(np.float32, copy=False)


def labels_at_speed(
    labels: np.ndarray,
    *,
    label_rate: float,
    geometry: FrameGeometry,
    start_sample: int,
    num_frames: int,
    speed: float,
) -> np.ndarray:
    """`frame_labels` of a crop played at a speed: each frame has the label of what sounds in its middle.

    The middle of frame t, t * hop + half a receptive field, was `speed` times as far from the start of the crop.

    Args:
        labels, label_rate, geometry, start_sample: as for `frame_labels`, at the original speed.

    Returns:
        As `frame_labels`: (num_frames, ...), NO_LABEL beyond the last label.
    """
    hop, half = geometry.hop_samples, geometry.receptive_field_samples / 2
    stride = round(label_rate / geometry.frame_rate)
    frames = (start_sample + speed * (np.arange(num_frames) * hop + half) - half) / hop
    places = np.maximum(np.floor(frames * stride + 0.5).astype(np.int64), 0)
    middle_labels = unlabelled(num_frames, labels)
    inside = places < len(labels)
    middle_labels[inside] = labels[places[inside]]
    return middle_labels
