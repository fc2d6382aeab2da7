"""Arrays in, sound files and their Kaldi table out: what tests of augmentation draw from."""

from pathlib import Path

import numpy as np
import soundfile

from espnet2.utils.kaldi_table import write_table

SAMPLE_RATE = 16000


def noise(num_samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """(num_samples,) float32 of white noise."""
    return (level * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def write_scp(folder: Path, sounds: dict[str, np.ndarray], sample_rate: int = SAMPLE_RATE) -> str:
    """One float WAV per sound and wav.scp; returns the path of the table."""
    folder.mkdir(exist_ok=True)
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, sample_rate, subtype="FLOAT")
    write_table(folder / "wav.scp", ((name, str(folder / f"{name}.wav")) for name in sounds))
    return str(folder / "wav.scp")
