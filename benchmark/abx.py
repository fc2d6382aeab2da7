"""Phones in context of a made-up corpus (or of a set) in, a table out: ABX triples per second, distances included.

    python benchmark/abx.py
    python benchmark/abx.py --dump_set egs2/festvox_ru/hubert1/dump/dev --dims "192"

A triple is one (a, b, x) whose two distances are compared. The seconds are those of everything that depends on the
features: distances of frames, dynamic time warping, comparing, averaging and the interval. A pair of items is warped
once for all of its triples; the column "pairs" says how many there are. The values do not matter for the speed, so the
features are noise.
"""

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch

from espnet2.data.index import AudioIndex
from espnet2.evaluate.abx.cells import MODES, make_cells
from espnet2.evaluate.abx.items import Items, Utterance, find_items
from espnet2.evaluate.abx.rows import Materials, pair_errors
from espnet2.evaluate.abx.score import interval
from espnet2.units.quality import Alignment, read_alignments
from espnet2.utils.errors import run_main
from espnet2.utils.kaldi_table import read_table

FRAME_RATE = 50.0
NUM_PHONES, NUM_WORDS = 40, 600  # of the made-up language
PHONE_SECONDS = (0.03, 0.14)  # read speech: 80 ms on average
AIM = 20_000  # triples per second on two cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump_set", type=Path, help="a set with phones.ctm (default: a made-up one)")
    parser.add_argument("--speakers", type=int, default=10, help="of the made-up one (%(default)s)")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the made-up one (%(default)s)")
    parser.add_argument("--dims", default="192 768", help="values of a frame (%(default)s)")
    parser.add_argument("--max_triples", type=int, default=200_000, help="of each mode (%(default)s)")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, device {arguments.device}; aim: {AIM:,} triples per second\n"
    )
    print("| mode | distance | dim | triples | pairs | s | CPU s | triples/s | triples/CPU s |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    utterances, phones = read_set(arguments.dump_set) if arguments.dump_set else make_set(arguments)
    items = find_items(utterances, phones, frame_rate=FRAME_RATE, max_group=10)
    frame_counts = np.array([utterance.num_frames for utterance in utterances])
    for mode in MODES:
        cells = make_cells(items, mode, max_x=5, max_triples=arguments.max_triples)
        materials = Materials.of(items, frame_counts, [cells])
        for dim in map(int, arguments.dims.split()):
            for distance in ("angular", "euclidean"):
                print(measure(materials, distance, dim, arguments.device), flush=True)
        print(measure(materials, "equal", 1, arguments.device), flush=True)


def read_set(dump_set: Path) -> tuple[list[Utterance], tuple[str, ...]]:
    """The utterances of a set, and id -> phone."""
    index, alignments = AudioIndex.open(dump_set), read_alignments(dump_set / "phones.ctm")
    speakers = read_table(dump_set / "utt2spk")
    utterances = []
    for row in range(len(index)):
        utt_id = index.utt_id(row)
        if utt_id in alignments.utterances:
            num_frames = int(index.num_samples[row] / index.sample_rate * FRAME_RATE)
            utterances.append(Utterance(utt_id, speakers[utt_id], num_frames, alignments.utterances[utt_id]))
    return utterances, alignments.phones


def make_set(arguments: argparse.Namespace) -> tuple[list[Utterance], tuple[str, ...]]:
    """Sentences of ten words; words are as frequent as in a language (Zipf)."""
    generator = np.random.default_rng(0)
    words = [generator.integers(0, NUM_PHONES, generator.integers(2, 7)) for _ in range(NUM_WORDS)]
    shares = 1 / np.arange(1, NUM_WORDS + 1)
    shares /= shares.sum()
    utterances: list[Utterance] = []
    seconds = 0.0
    while seconds < 60 * arguments.minutes:
        ids = np.concatenate([words[word] for word in generator.choice(NUM_WORDS, 10, p=shares)])
        ends = np.cumsum(generator.uniform(*PHONE_SECONDS, len(ids)))
        alignment = Alignment(np.append(0, ends[:-1]), ends, ids)
        number = len(utterances)
        name = f"u{number:05d}"
        utterances.append(Utterance(name, f"s{number % arguments.speakers}", int(ends[-1] * FRAME_RATE), alignment))
        seconds += float(ends[-1])
    return utterances, tuple(f"p{number}" for number in range(NUM_PHONES))


def measure(materials: Materials, distance: str, dim: int, device: str) -> str:
    """A line of the table."""
    items: Items = materials.items
    (comparison,) = materials.comparisons
    num_triples = int(comparison.cells.num_triples.sum())
    if not items.items or not num_triples:
        return f"| {comparison.cells.mode} | {distance} | {dim} | 0 | 0 | - | - | - | - |"
    num_frames = int((materials.firsts + materials.counts).max())
    generator = torch.Generator().manual_seed(0)
    if distance == "equal":
        frames = torch.randint(0, 100, (num_frames, 1), generator=generator).to(device)
    else:
        frames = torch.randn(num_frames, dim, generator=generator).to(device)
    tiles = comparison.tiles if distance == "equal" else comparison.mirrored_tiles
    began, began_cpu = time.perf_counter(), time.process_time()
    interval(pair_errors(materials, comparison, frames, distance))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    return (
        f"| {comparison.cells.mode} | {distance} | {dim} | {num_triples:,} | {tiles.num_pairs:,} | {seconds:.2f} | "
        f"{cpu_seconds:.2f} | {num_triples / seconds:,.0f} | {num_triples / cpu_seconds:,.0f} |"
    )


if __name__ == "__main__":
    run_main(main)
