"""Sound between silences in, where it begins and ends out: pyscripts/audio/trim_silence.py."""

import runpy

import numpy as np
import pytest
from repository import ROOT

LOUD_PART = runpy.run_path(str(ROOT / "egs2/TEMPLATE/ssl1/pyscripts/audio/trim_silence.py"))["loud_part"]


def by_hand(samples: np.ndarray, window: int, hop: int, threshold_db: float) -> tuple[int, int]:
    """The definition, frame by frame: windows around every hop-th sample, silence beyond the ends."""
    padded = np.concatenate([np.zeros(window // 2), samples, np.zeros(window // 2)])
    count = 1 + (len(padded) - window) // hop
    levels = [np.sqrt(np.mean(padded[frame * hop : frame * hop + window] ** 2)) for frame in range(count)]
    loud = [
        frame for frame, level in enumerate(levels) if 20 * np.log10(max(level, 1e-5) / max(levels)) > -threshold_db
    ]
    return loud[0] * hop, min(len(samples), (loud[-1] + 1) * hop)


@pytest.mark.parametrize("threshold", [20.0, 35.0, 60.0])
@pytest.mark.parametrize(("window", "hop"), [(1024, 256), (1200, 300), (400, 160)])
def test_the_loud_part(threshold: float, window: int, hop: int) -> None:
    noise = np.random.default_rng(0)
    quiet, sound = 0.001 * noise.standard_normal(6000), 0.3 * noise.standard_normal(8000)
    samples = np.concatenate([quiet, sound * np.hanning(8000), quiet])
    assert LOUD_PART(samples, window, hop, threshold) == by_hand(samples, window, hop, threshold)


def test_silence_alone_is_kept_whole() -> None:
    assert LOUD_PART(np.zeros(5000), 1024, 256, 35.0) == (0, 5000)
