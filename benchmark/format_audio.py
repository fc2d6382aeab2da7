"""Generated 16 kHz speech-like FLAC in, the speed of stage 3 beside bare libsndfile on one core out.

  python benchmark/format_audio.py [--minutes 30] [--folder DIR]

Rows: libsndfile decoding and encoding alone; stage 3 where files need no change (checked and copied), where they are
encoded again (24-bit input), and with resampling from 22.05 kHz. `x real time` is seconds of audio per second.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from espnet2.data.format.convert import Shard, format_shard
from espnet2.data.format.merge import merge_format
from espnet2.data.format.plan import FormatOptions, prepare
from espnet2.utils.files import atomic_write

UTTERANCE_SECONDS = 12.0  # about the mean of read-speech corpora
OPTIONS = FormatOptions(16000, "flac")


def speech_like(seconds: float, sample_rate: int, seed: int) -> np.ndarray:
    """(samples,) float64: noise with the spectral tilt and the syllable rhythm of speech, for FLAC to work on."""
    generator = np.random.default_rng(seed)
    count = round(seconds * sample_rate)
    noise = np.convolve(generator.standard_normal(count), np.hanning(24) / 12, "same")
    syllables = np.abs(np.sin(np.pi * 4 * np.arange(count) / sample_rate)) ** 2  # 4 Hz
    return 0.1 * noise * syllables


def make_set(folder: Path, minutes: float, sample_rate: int, subtype: str) -> Path:
    """data/<set> of FLAC files; returns its folder."""
    data = folder / f"data_{sample_rate}_{subtype}"
    data.mkdir()
    count = max(1, round(minutes * 60 / UTTERANCE_SECONDS))
    with atomic_write(data / "wav.scp") as scp, atomic_write(data / "utt2spk") as speakers:
        for number in range(count):
            path = data / f"{number:05d}.flac"
            soundfile.write(path, speech_like(UTTERANCE_SECONDS, sample_rate, number), sample_rate, subtype=subtype)
            scp.write(f"u{number:05d} {path}\n")
            speakers.write(f"u{number:05d} s\n")
    return data


def bare_libsndfile(data: Path, output: Path) -> None:
    output.mkdir()
    for path in sorted(data.glob("*.flac")):
        samples, sample_rate = soundfile.read(path, dtype="int16")
        soundfile.write(output / path.name, samples, sample_rate, subtype="PCM_16")


def stage_3(data: Path, output: Path) -> None:
    num_jobs = prepare(data, output, OPTIONS, 1)
    format_shard(data, Shard(output, 1, 1))
    merge_format(data, output, OPTIONS, num_jobs, 0.0)


def measure(name: str, work: Callable[[Path, Path], None], data: Path, output: Path) -> None:
    seconds = UTTERANCE_SECONDS * len(list(data.glob("*.flac")))
    start_wall, start_cpu = time.perf_counter(), time.process_time()
    work(data, output)
    wall, cpu = time.perf_counter() - start_wall, time.process_time() - start_cpu
    print(f"{name:45s} {seconds / wall:8.0f} x real time   ({seconds / cpu:8.0f} by CPU time)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="of audio per row")
    parser.add_argument("--folder", help="where to work; a temporary folder by default")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        plain = make_set(folder, args.minutes, 16000, "PCM_16")
        deep = make_set(folder, args.minutes, 16000, "PCM_24")
        other_rate = make_set(folder, args.minutes, 22050, "PCM_16")
        measure("libsndfile alone, 16 kHz FLAC to FLAC", bare_libsndfile, plain, folder / "bare")
        measure("stage 3, 16 kHz FLAC to FLAC, unchanged", stage_3, plain, folder / "plain")
        measure("libsndfile alone, 24-bit to 16-bit FLAC", bare_libsndfile, deep, folder / "bare_deep")
        measure("stage 3, 24-bit to 16-bit FLAC", stage_3, deep, folder / "deep")
        measure("stage 3, 22.05 to 16 kHz FLAC", stage_3, other_rate, folder / "rate")


if __name__ == "__main__":
    main()
