"""Lengths in, something that a speech detector takes for speech and files that only PyAV writes out."""

from pathlib import Path

import numpy as np

SAMPLE_RATE = 16000  # Hz
FORMANTS_HZ = ((700, 1200, 2500), (300, 2200, 3000), (500, 900, 2400))
FFMPEG_CODECS = {".m4a": "aac", ".g722": "g722"}


def vowels(seconds: float, pitch_hz: float = 120.0) -> np.ndarray:
    """Three vowels in turn, four a second, with a moving pitch: (samples,) float64 at 16 kHz."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = pitch_hz * (1 + 0.15 * np.sin(2 * np.pi * 1.3 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formants = np.array(FORMANTS_HZ, dtype=np.float64)[(4 * time).astype(int) % 3]  # (samples, 3)
    wave = np.zeros(len(time))
    for harmonic in range(1, 30):
        distance = ((harmonic * pitch)[:, None] - formants) / (80 + 0.05 * formants)
        wave += (1 / (1 + distance**2)).sum(axis=1) * np.sin(harmonic * phase) / np.sqrt(harmonic)
    wave *= np.sqrt(np.abs(np.sin(4 * np.pi * time)))
    return 0.5 * wave / np.abs(wave).max()


def pause(seconds: float) -> np.ndarray:
    """Quiet noise: (samples,) float64 at 16 kHz."""
    return 0.003 * np.random.default_rng(1).standard_normal(int(seconds * SAMPLE_RATE))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """[-1, 1] as 16-bit samples."""
    return np.rint(wave * 32767).astype(np.int16)


def write_with_pyav(path: Path, wave: np.ndarray) -> Path:
    """Write (samples,) in [-1, 1] at 16 kHz as .m4a (AAC) or .g722. Returns the path."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    with av.open(str(path), "w", format="mp4" if suffix == ".m4a" else "g722") as container:
        stream = container.add_stream(FFMPEG_CODECS[suffix], rate=SAMPLE_RATE, layout="mono")
        samples = to_int16(wave)[None]
        for start in range(0, samples.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
