"""Seconds of audio that are read per CPU second: wav, FLAC, ark, tar, Parquet; beside libsndfile, torchaudio, lhotse.

Usage: python benchmark/sources.py [--utterances 400] [--augment wavlm,telephone]       (one process)
Every reader takes its turn on the same twenty utterances, so that other work on the machine meets all of them alike;
a share is the median of these turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from audio_copies import Copies, make_copies
from other_readers import lhotse_readers, torchaudio_readers

from espnet2.data.audio import parquet
from espnet2.data.audio.read import read_audio
from espnet2.data.augment.augment import AugmentConfig, Augmenter, open_augmenter
from espnet2.data.dataset import SpeechDataset
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.sampler import MicroBatch

TURN = 20  # utterances
HUBERT = FrameGeometry(((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)))
MAX_SAMPLES = 250_000  # of HuBERT Base: longer utterances are cropped
AT_RANDOM = "here, parquet of 100 rows, at random"
AUGMENTATIONS: dict[str, dict[str, object]] = {
    "wavlm": {"mixing": {}},
    "speed": {"speed": {}},
    "telephone": {"clipping": {}, "low_pass": {}, "codec": {}, "packet_loss": {}},
}


@dataclass
class Reader:
    """Something that is measured."""

    title: str
    beside: str  # title of the reader whose speed is 1
    read: Callable[[range], int]  # utterances -> samples that came
    turns: list[float] = field(default_factory=list)  # samples per CPU second
    num_samples: int = 0
    cpu_seconds: float = 0.0

    def take_turn(self, rows: range) -> None:
        start = time.process_time()
        num_samples = self.read(rows)
        spent = time.process_time() - start
        self.turns.append(num_samples / spent)
        self.num_samples, self.cpu_seconds = self.num_samples + num_samples, self.cpu_seconds + spent


def bare(entries: list[str]) -> Callable[[range], int]:
    """Nothing but libsndfile, whole files."""
    import soundfile

    return lambda rows: sum(len(soundfile.read(entries[row], dtype="float32")[0]) for row in rows)


def bare_crops(entries: list[str], crops: list[tuple[int, int]]) -> Callable[[range], int]:
    """The same of crops: (first sample, samples) of each."""
    import soundfile

    def read(rows: range) -> int:
        num_samples = 0
        for row in rows:
            with soundfile.SoundFile(entries[row]) as audio:
                audio.seek(crops[row][0])
                num_samples += len(audio.read(crops[row][1], dtype="float32"))
        return num_samples

    return read


def ours(entries: list[str]) -> Callable[[range], int]:
    """What training reads with."""
    return lambda rows: sum(len(read_audio(entries[row])[0]) for row in rows)


def ours_of_a_large_set(entries: list[str]) -> Callable[[range], int]:
    """The same where next to nothing of a Parquet file can be kept in memory."""
    kept = parquet._Kept()

    def read(rows: range) -> int:
        before = parquet.KEPT_BYTES, parquet._kept
        parquet.KEPT_BYTES, parquet._kept = 1, kept
        try:
            return ours(entries)(rows)
        finally:
            parquet.KEPT_BYTES, parquet._kept = before

    return read


def ours_of_crops(entries: list[str], crops: list[tuple[int, int]]) -> Callable[[range], int]:
    """The same of crops."""
    return lambda rows: sum(
        len(read_audio(entries[row], start=crops[row][0], num_samples=crops[row][1])[0]) for row in rows
    )


def loader(index: AudioIndex, augment: Augmenter | None) -> Callable[[range], int]:
    """The whole work of a loader process: crops, augmentation, a padded batch."""
    dataset = SpeechDataset(index, None, {}, HUBERT, "none", 0, augment=augment)

    def read(rows: range) -> int:
        longest = min(int(index.num_samples[rows.start : rows.stop].max()), MAX_SAMPLES)
        return dataset[MicroBatch(np.arange(rows.start, rows.stop), longest, rows.start, 0)].num_samples

    return read


def index_of(copies: Copies, source: str, folder: Path) -> AudioIndex:
    """Of one copy of the audio, as stage 6 makes it."""
    dump_set = folder / f"dump_{source.split()[0]}"
    dump_set.mkdir()
    (dump_set / "format.json").write_text(f'{{"sample_rate": {copies.sample_rate}}}\n')
    lengths = copies.num_samples
    tables: dict[str, Sequence[object]] = {
        "wav.scp": copies.entries[source],
        "utt2num_samples": lengths,
        "utt2stats": ["0 0.01"] * len(lengths),
    }
    for name, values in tables.items():
        lines = (f"u{number:06d} {value}\n" for number, value in enumerate(values))
        (dump_set / name).write_text("".join(lines))
    return AudioIndex(build_index(dump_set))


def all_readers(copies: Copies, folder: Path, augmentations: list[str]) -> list[Reader]:
    """In the order of the table."""
    entries = copies.entries
    random = np.random.default_rng(1)
    counts = [length // 2 for length in copies.num_samples]
    crops = [
        (int(random.integers(length - count)), count) for length, count in zip(copies.num_samples, counts, strict=True)
    ]
    readers = [Reader(f"libsndfile, {name}", f"libsndfile, {name}", bare(entries[name])) for name in ("wav", "flac")]
    for name in entries:
        codec = "libsndfile, wav" if name == "wav" else "libsndfile, flac"
        readers.append(Reader(f"here, {name}", codec, ours(entries[name])))
    shuffled = [entries["parquet of 100 rows"][row] for row in random.permutation(len(crops))]
    readers.append(Reader(AT_RANDOM, "libsndfile, flac", ours_of_a_large_set(shuffled)))
    readers.append(
        Reader("libsndfile, half of each flac", "libsndfile, half of each flac", bare_crops(entries["flac"], crops))
    )
    for name in ("flac", "tar"):
        read = ours_of_crops(entries[name], crops)
        readers.append(Reader(f"here, half of each {name}", "libsndfile, half of each flac", read))
    for title, beside, read in (*torchaudio_readers(copies), *lhotse_readers(copies, folder)):
        readers.append(Reader(title, beside, read))
    for name in ("flac", "tar"):
        index = index_of(copies, name, folder)
        for augmentation in ("", *augmentations):
            config = AugmentConfig.model_validate(AUGMENTATIONS.get(augmentation, {}))
            augmenter = open_augmenter(config, copies.sample_rate, len(index))
            title = f"loader here, {name}{augmentation and f', {augmentation}'}"
            readers.append(Reader(title, "libsndfile, flac", loader(index, augmenter)))
    return readers


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", default="wavlm,speed,telephone", help=f"of {', '.join(AUGMENTATIONS)}")
    parser.add_argument("--only", default="", help="readers with this in their name, and libsndfile's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        copies = make_copies(Path(name), arguments.utterances)
        readers = all_readers(copies, Path(name), list(filter(None, arguments.augment.split(","))))
        readers = [reader for reader in readers if arguments.only in reader.title or reader.title == reader.beside]
        for _ in range(arguments.rounds):
            for start in range(0, arguments.utterances - TURN + 1, TURN):
                for reader in readers:
                    reader.take_turn(range(start, start + TURN))
        by_title = {reader.title: reader for reader in readers}
        print("| reader | seconds of audio per CPU second | of libsndfile |\n|---|--:|--:|")
        for reader in readers:
            shares = [ours / theirs for ours, theirs in zip(reader.turns, by_title[reader.beside].turns, strict=True)]
            speed = reader.num_samples / copies.sample_rate / reader.cpu_seconds
            print(f"| {reader.title} | {speed:,.0f} | {median(shares):.2f} |")


if __name__ == "__main__":
    main()
