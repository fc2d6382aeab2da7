"""A made-up corpus in, the same audio as wav, FLAC, ark, tar and Parquet out."""

import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
PARQUET_ROWS = (100, 10)  # in a row group; a hundred is Hugging Face's default for audio


@dataclass
class Copies:
    """Where the same utterances lie."""

    sample_rate: int  # Hz
    num_samples: list[int]  # of each utterance
    entries: dict[str, list[str]] = field(default_factory=dict)  # source -> audio entry of each utterance


def lengths_of(count: int) -> np.ndarray:
    """(count,) int64 samples of utterances like LibriSpeech's."""
    seconds = np.clip(np.random.default_rng(0).normal(13, 5, count), 1.5, 25)
    return (RATE * seconds).astype(np.int64)


def make_copies(folder: Path, count: int) -> Copies:
    """Modulated tones in noise, which FLAC makes about as small as speech."""
    lengths = [int(length) for length in lengths_of(count)]
    copies = Copies(RATE, lengths)
    paths = _write_files(folder, lengths)
    copies.entries["wav"] = [str(path.with_suffix(".wav")) for path in paths]
    copies.entries["flac"] = [str(path) for path in paths]
    copies.entries["ark"] = _as_ark(paths, folder)
    copies.entries["tar"] = _as_tar(paths, folder)
    for rows in PARQUET_ROWS:
        copies.entries[f"parquet of {rows} rows"] = _as_parquet(paths, folder, rows)
    return copies


def _write_files(folder: Path, lengths: list[int]) -> list[Path]:
    generator, paths = np.random.default_rng(0), []
    for number, length in enumerate(lengths):
        clock = np.arange(length) / RATE
        tone = 3000 * np.sin(2 * np.pi * (120 + number % 50) * clock) * np.abs(np.sin(2 * np.pi * 1.5 * clock))
        samples = (tone + 300 * generator.standard_normal(length)).astype(np.int16)
        paths.append(folder / f"{number:06d}.flac")
        for path in (paths[-1], paths[-1].with_suffix(".wav")):
            soundfile.write(path, samples, RATE, subtype="PCM_16")
    return paths


def _as_ark(paths: list[Path], folder: Path) -> list[str]:
    """In kaldiio's layout."""
    entries = []
    with open(folder / "all.ark", "wb") as stream:
        for path in paths:
            stream.write(f"{path.stem} ".encode())
            entries.append(f"{folder}/all.ark:{stream.tell()}")
            content = path.read_bytes()
            stream.write(b"AUDIO\x08" + len(content).to_bytes(8, "little") + content)
    return entries


def _as_tar(paths: list[Path], folder: Path) -> list[str]:
    with tarfile.open(folder / "all.tar", "w") as archive:
        for path in paths:
            archive.add(path, path.name)
    with tarfile.open(folder / "all.tar") as archive:
        return [f"{folder}/all.tar:{member.offset_data}+{member.size}" for member in archive]


def _as_parquet(paths: list[Path], folder: Path, rows: int) -> list[str]:
    import pyarrow
    from pyarrow.parquet import write_table

    file = folder / f"{rows}.parquet"
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    write_table(pyarrow.table({"audio": cells}), file, row_group_size=rows)
    return [f"{file}:audio[{number // rows},{number % rows}]" for number in range(len(paths))]
