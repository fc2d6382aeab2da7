#!/usr/bin/env python3
"""A wav.scp -> segments: each recording without the silence at its two ends."""

import argparse
import tempfile

import numpy as np
import soxr

from espnet2.data.audio.decode import open_recording
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write
from espnet2.utils.kaldi_table import iterate_table

AMPLITUDE_FLOOR = 1e-5  # below it everything is equally silent (-100 dB of full scale)


def loud_part(samples: np.ndarray, window: int, hop: int, threshold_db: float) -> tuple[int, int]:
    """First sample and end of what is not silent.

    Args:
        samples: (samples,), float.
        window, hop: samples of a frame, and from one frame's middle to the next one's.
        threshold_db: a frame is silent where its root mean square is this much below the loudest one's.
    """
    padded = np.pad(np.square(samples, dtype=np.float64), window // 2)
    sums = np.concatenate(([0.0], np.cumsum(padded)))
    starts = np.arange(0, len(padded) - window + 1, hop)
    power = np.maximum((sums[starts + window] - sums[starts]) / window, AMPLITUDE_FLOOR**2)
    loud = np.flatnonzero(10 * np.log10(power / power.max()) > -threshold_db)
    return int(loud[0]) * hop, min(len(samples), (int(loud[-1]) + 1) * hop)


def trimmed(entry: str, options: argparse.Namespace, scratch: str) -> tuple[float, float]:
    """Begin and end in seconds of an entry of wav.scp."""
    with open_recording(entry, scratch) as recording:
        whole = recording.span(0.0, -1.0)
        samples = np.concatenate(list(recording.blocks(*whole, channel=None)) or [np.zeros(0, np.float32)])
        rate = recording.sample_rate
    if len(samples) == 0:
        raise RejectedAudio("empty", "no samples")
    samples = samples.astype(np.float32) / (-np.iinfo(np.int16).min if samples.dtype == np.int16 else 1)
    fs = options.fs or rate
    if rate != fs:
        samples = soxr.resample(samples, rate, fs)
    begin, end = loud_part(samples, options.win_length, options.shift_length, options.threshold)
    length = len(samples) / fs
    return max(0.0, begin / fs - options.min_silence), min(length, end / fs + options.min_silence)


def main() -> None:
    """Write a segment, named like its recording, for each line of wav.scp."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--fs", type=int, help="sample rate, Hz, in which the lengths count (default: the recording's)")
    parser.add_argument("--threshold", type=float, default=60, help="decibels below the loudest frame")
    parser.add_argument("--win_length", type=int, default=1200, help="samples of a frame")
    parser.add_argument("--shift_length", type=int, default=300, help="samples from frame to frame")
    parser.add_argument("--min_silence", type=float, default=0.01, help="seconds of silence that stay at both ends")
    parser.add_argument("--figdir", help="accepted for ESPnet's sake: no figures are drawn")
    parser.add_argument("--verbose", type=int, default=0, help="accepted for ESPnet's sake")
    parser.add_argument("--normalize", type=int, help="accepted for ESPnet's sake: only ratios matter")
    parser.add_argument("rspecifier", help="wav.scp, or scp:wav.scp")
    parser.add_argument("segments", help="to be written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, atomic_write(options.segments) as stream:
        for name, entry in iterate_table(options.rspecifier.removeprefix("scp:")):
            try:
                begin, end = trimmed(entry, options, scratch)
            except RejectedAudio as error:
                raise UserError(f"{name}: {error}") from None
            stream.write(f"{name} {name} {begin:f} {end:f}\n")


if __name__ == "__main__":
    run_main(main)
