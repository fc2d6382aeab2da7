"""What ten million utterances cost: index, first batch, next pass, resume, memory; beside datasets and lhotse.

Usage: python benchmark/scale.py [--utterances 10000000] [--workers 4] [--folder /scratch] [--lhotse 1000000]
Lhotse's sampler is given the first so many utterances: what it does in a pass or to resume grows with their number.
No audio is made or read: the tables of dump/<set> say where it would lie. A gigabyte of disk for ten million.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
from audio_copies import RATE, lengths_of
from scale_figures import MEBIBYTE, Figures, private_bytes, utt_id_of
from scale_others import measure_datasets, measure_lhotse

from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.sampler import Cursor, Sampler

UTTERANCES_PER_ARK = 100
BASE = {"shard_samples": 1_400_000, "max_samples": 250_000, "hop_samples": 320}  # HuBERT Base's share of one GPU


def write_tables(dump_set: Path, lengths: np.ndarray) -> None:
    """The tables that stage 4 leaves: entries of arks with a hundred utterances each."""
    dump_set.mkdir(parents=True)
    (dump_set / "format.json").write_text(json.dumps({"sample_rate": RATE, "audio_format": "flac.ark"}) + "\n")
    names = ("wav.scp", "utt2num_samples", "utt2stats", "utt2spk")
    streams = {name: open(dump_set / name, "w", encoding="utf-8") for name in names}  # noqa: SIM115
    for number, length in enumerate(lengths.tolist()):
        utt_id = utt_id_of(number)
        ark, offset = divmod(number, UTTERANCES_PER_ARK)
        streams["wav.scp"].write(f"{utt_id} /corpus/data_wav.{ark}.ark:{30 + 230_000 * offset}\n")
        streams["utt2num_samples"].write(f"{utt_id} {length}\n")
        streams["utt2stats"].write(f"{utt_id} 0.0001 0.0042\n")
        streams["utt2spk"].write(f"{utt_id} {utt_id[:9]}\n")
    for stream in streams.values():
        stream.close()


def worker_bytes(directory: Path, connection: "multiprocessing.connection.Connection") -> None:
    """What a loader process has of its own once it has read rows all over the index."""
    before = private_bytes()
    index = AudioIndex.open(directory)
    rows = np.linspace(0, len(index) - 1, 2000).astype(int)
    for row in rows:
        index.path(int(row))
        index.utt_id(int(row))
    connection.send(private_bytes() - before)


def measure_workers(directory: Path, count: int) -> list[int]:
    """Private bytes of so many processes, started afresh as loaders are."""
    context = multiprocessing.get_context("spawn")
    results = []
    for _ in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=worker_bytes, args=(directory, theirs))
        process.start()
        results.append(int(ours.recv()))
        process.join()
    return results


def measure_ours(folder: Path, lengths: np.ndarray, num_workers: int, figures: Figures) -> None:
    """Of the index and the order of this toolkit."""
    dump_set = folder / "dump/train"
    with figures.timed("write the tables (what stages 3 and 4 leave)"):
        write_tables(dump_set, lengths)
    with figures.timed("build the index"):
        build_index(dump_set)
    with figures.timed("nothing to build"):
        build_index(dump_set)
    size = sum(path.stat().st_size for path in (dump_set / "index").iterdir())
    figures.say("index on disk", f"{size / MEBIBYTE:,.0f} MiB, {size / len(lengths):.0f} bytes per utterance")
    before = private_bytes()
    with figures.timed("open the index"):
        index = AudioIndex.open(dump_set)
    with figures.timed("first batch: open, plan, the first rows"):
        sampler = Sampler(AudioIndex.open(dump_set).num_samples, **BASE)
        first = next(sampler.stream(Cursor()))
    figures.say("first batch", f"{len(first.rows)} utterances; {index.path(int(first.rows[0]))}")
    with figures.timed("plan of one more pass"):
        sampler.plan(1)
    num = len(sampler.plan(0))
    sampler = Sampler(index.num_samples, **BASE)
    sampler.plan(0)
    stream = sampler.stream(Cursor(0, num - 2000, num - 2000))
    slowest, start = 0.0, time.perf_counter()
    for _ in islice(stream, 2500):  # over the end of the pass, with 10 ms of training for each micro-batch
        slowest = max(slowest, time.perf_counter() - start)
        time.sleep(0.01)
        start = time.perf_counter()
    figures.say("longest wait for a micro-batch over the end of a pass, plan of the next one ahead", f"{slowest:.3f} s")
    with figures.timed("resume in the middle of the sixth pass"):
        resumed = Sampler(index.num_samples, **BASE)
        next(resumed.stream(Cursor(5, num // 2, 5 * num + num // 2)))
    used = private_bytes() - before
    figures.say(
        "private memory of the training process", f"{used / len(lengths):.1f} bytes per utterance, two passes planned"
    )
    for number, taken in enumerate(measure_workers(dump_set, num_workers)):
        figures.say(
            f"private memory of loader {number}",
            f"{taken / MEBIBYTE:.1f} MiB, {taken / len(lengths):.2f} bytes per utterance",
        )


def attempt(what: Callable[[], None]) -> None:
    """Run a comparison, or say what is not there."""
    try:
        what()
    except ImportError as error:
        print(f"left out: {error}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=4, help="loader processes whose memory is measured")
    parser.add_argument("--lhotse", type=int, default=1_000_000, help="utterances for lhotse's sampler; 0: none")
    parser.add_argument("--folder", type=Path, help="where files are made and removed again (default: of the system)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        lengths, figures = lengths_of(options.utterances), Figures()
        measure_ours(Path(scratch), lengths, options.workers, figures)
        attempt(lambda: measure_datasets(Path(scratch), lengths, figures))
        if options.lhotse:
            attempt(lambda: measure_lhotse(Path(scratch), lengths[: options.lhotse], figures))


if __name__ == "__main__":
    main()
