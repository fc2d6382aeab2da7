"""Seconds of audio that are read per CPU second from files, arks, tars and Parquet, in order and at random.

Usage: python benchmark/sources.py [--utterances 300] [--seconds 12]      (one process; the best of three rounds)
"""

import argparse
import random
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from espnet2.data.audio import parquet
from espnet2.data.audio.read import read_audio

RATE = 16000
ROUNDS = 3


def make_files(folder: Path, count: int, seconds: float) -> list[Path]:
    """FLAC files of a modulated tone in noise: about the size of speech."""
    generator, clock = np.random.default_rng(0), np.arange(int(RATE * seconds)) / RATE
    paths = []
    for number in range(count):
        tone = 3000 * np.sin(2 * np.pi * (120 + number % 50) * clock) * np.abs(np.sin(2 * np.pi * 1.5 * clock))
        paths.append(folder / f"{number:05d}.flac")
        samples = (tone + 300 * generator.standard_normal(len(clock))).astype(np.int16)
        soundfile.write(paths[-1], samples, RATE, subtype="PCM_16")
    return paths


def as_ark(paths: list[Path], folder: Path) -> list[str]:
    """Entries of an ark in kaldiio's layout."""
    entries = []
    with open(folder / "all.ark", "wb") as stream:
        for path in paths:
            stream.write(f"{path.stem} ".encode())
            entries.append(f"{folder}/all.ark:{stream.tell()}")
            content = path.read_bytes()
            stream.write(b"AUDIO\x08" + len(content).to_bytes(8, "little") + content)
    return entries


def as_tar(paths: list[Path], folder: Path) -> list[str]:
    """Entries of a tar."""
    with tarfile.open(folder / "all.tar", "w") as archive:
        for path in paths:
            archive.add(path, path.name)
    with tarfile.open(folder / "all.tar") as archive:
        return [f"{folder}/all.tar:{member.offset_data}+{member.size}" for member in archive]


def as_parquet(paths: list[Path], folder: Path, rows: int) -> list[str]:
    """Entries of a Parquet file with so many rows in a group."""
    import pyarrow
    from pyarrow.parquet import write_table

    file = folder / f"{rows}.parquet"
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    write_table(pyarrow.table({"audio": cells}), file, row_group_size=rows)
    return [f"{file}:audio[{number // rows},{number % rows}]" for number in range(len(paths))]


def plain(entry: str) -> np.ndarray:
    """Nothing but libsndfile."""
    samples: np.ndarray = soundfile.read(entry, dtype="float32")[0]
    return samples


def speed(entries: list[str], read: Callable[[str], np.ndarray]) -> float:
    """Seconds of audio per CPU second, the best round."""
    best = 0.0
    for _ in range(ROUNDS):
        start = time.process_time()
        num_samples = sum(len(read(entry)) for entry in entries)
        best = max(best, num_samples / RATE / (time.process_time() - start))
    return best


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each utterance")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_files(folder, arguments.utterances, arguments.seconds)
        files = [str(path) for path in paths]
        sources = {"files": files, "ark": as_ark(paths, folder), "tar": as_tar(paths, folder)}
        sources |= {f"Parquet, {rows} rows in a group": as_parquet(paths, folder, rows) for rows in (100, 10)}
        print("| source | in order | at random |\n|---|--:|--:|", flush=True)
        print(f"| libsndfile alone, files | {speed(files, plain):,.0f} | |", flush=True)
        for title, entries in sources.items():
            in_order = speed(entries, lambda entry: read_audio(entry)[0])
            parquet.KEPT_BYTES = 1  # as in a set that is much larger than what is kept
            at_random = speed(random.Random(0).sample(entries, len(entries)), lambda entry: read_audio(entry)[0])
            print(f"| {title} | {in_order:,.0f} | {at_random:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
