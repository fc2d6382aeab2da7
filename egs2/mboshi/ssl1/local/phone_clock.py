"""Audio and phone times of an aligned set in; by how much earlier the phones are heard than written, per speaker, out.

Four measures of the sound, none of a trained model, for every shift of all times of one speaker:
* rise: how much louder the 50 ms after the end of a silence are than the 50 ms before it (dB);
* fall: how much softer the 50 ms after the start of a silence are than those before it (dB). An aligner that lets
  phones reach into silence errs at both edges by the same length in opposite directions: half-way lies its clock;
* change: how far apart the mean MFCC of the 20 ms on both sides of a boundary between two phones are;
* PNMI: how much k-means units of MFCC, learned on the same audio, tell of the phone.
Name a set that models are trained on: a clock chosen on the test set would be fitted to it.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from espnet2.data.index import AudioIndex
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import LogMelFeatures, MfccFeatures, map_features
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.units.quality import WINDOW_SECONDS, Alignment, joint_counts, quality_of_counts
from espnet2.utils.errors import UserError, run_main

SILENCE = "SIL"
FRAME_RATE = 100  # of both features, per second
LOUDNESS_FRAMES = 5  # 50 ms on each side: shorter than the pauses between phrases
CHANGE_FRAMES = 2  # 20 ms on each side: within the shortest phone of three states of 10 ms
NUM_CLUSTERS = 100
NUM_STATIC = 13  # of the 39 values, the rest are their changes over time
DECIBEL = 10 / np.log(10)  # of a natural logarithm of energy


@dataclass(frozen=True)
class Recording:
    """One utterance: its sound and its phones."""

    loudness: np.ndarray  # (frames,) natural logarithm of the mel energies' sum
    mfcc: np.ndarray  # (frames, 39) float32
    alignment: Alignment
    silence: int  # id of the silence, -1 where the set has none


def silent(recording: Recording) -> np.ndarray:
    """(phones,) bool."""
    return recording.alignment.phones == recording.silence


def silence_ends(recording: Recording) -> np.ndarray:
    """(edges,) seconds: where a phone follows a silence."""
    return recording.alignment.starts[1:][silent(recording)[:-1] & ~silent(recording)[1:]]


def silence_starts(recording: Recording) -> np.ndarray:
    """(edges,) seconds: where a silence follows a phone."""
    return recording.alignment.starts[1:][~silent(recording)[:-1] & silent(recording)[1:]]


def boundaries(recording: Recording) -> np.ndarray:
    """(edges,) seconds: where one phone follows another, none of them silence."""
    return recording.alignment.starts[1:][~silent(recording)[:-1] & ~silent(recording)[1:]]


def sides(frames: np.ndarray, edges: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of so many frames before and after each edge that has them.

    Args:
        frames: (frames, ...) at FRAME_RATE; the centre of frame t is t / FRAME_RATE + half a window.
        edges: (edges,) seconds.

    Returns:
        (edges within, ...) before, (edges within, ...) after.
    """
    first = np.ceil((edges - WINDOW_SECONDS / 2) * FRAME_RATE - 1e-6).astype(int)  # of the frames after the edge
    first = first[(first >= width) & (first + width <= len(frames))]
    sums = np.concatenate([np.zeros_like(frames[:1], dtype=np.float64), frames.cumsum(0, dtype=np.float64)])
    return (sums[first] - sums[first - width]) / width, (sums[first + width] - sums[first]) / width


def loudness_step(
    recordings: Iterable[Recording], edges_of: Callable[[Recording], np.ndarray], earlier: float
) -> float:
    """How much louder it is after edges that are made `earlier` (seconds) than before them, dB, a mean."""
    steps = [
        after - before
        for recording in recordings
        for before, after in [sides(recording.loudness, edges_of(recording) - earlier, LOUDNESS_FRAMES)]
    ]
    return float(np.concatenate(steps).mean() * DECIBEL)


def change(recordings: Iterable[Recording], earlier: float) -> float:
    """Mean distance of the MFCC of both sides of boundaries that are made `earlier` (seconds), deltas left out."""
    distances = [
        np.linalg.norm(after - before, axis=1)
        for recording in recordings
        for before, after in [sides(recording.mfcc[:, :NUM_STATIC], boundaries(recording) - earlier, CHANGE_FRAMES)]
    ]
    return float(np.concatenate(distances).mean())


def pnmi(recordings: list[Recording], units: list[np.ndarray], num_phones: int, earlier: float) -> float:
    """What the units tell of the phones whose times are made `earlier` (seconds)."""
    pairs = []
    for recording, labels in zip(recordings, units, strict=True):
        known = recording.alignment
        moved = Alignment(known.starts - earlier, known.ends - earlier, known.phones)
        pairs.append((labels, moved.frames(len(labels), FRAME_RATE)))
    return quality_of_counts(joint_counts(pairs, NUM_CLUSTERS, num_phones)).pnmi


def read_recordings(dump_set: Path) -> tuple[dict[str, list[Recording]], int]:
    """Speaker -> utterances with phones, and how many phones there are.

    Raises:
        UserError: no phones, or no silence among them.
    """
    files = find_phones(dump_set)
    if files is None:
        raise UserError(f"{dump_set}: no phones.ctm; run stages 1 to 4")
    phones = read_phones(files, dump_set).alignments
    if SILENCE not in phones.phones:
        raise UserError(f"{files.place}: no {SILENCE} among its phones, so no silence that begins or ends")
    silence = phones.phones.index(SILENCE)
    index = AudioIndex.open(dump_set)
    rows = [row for row in range(len(index)) if index.utt_id(row) in phones.utterances]
    mel, cepstra = LogMelFeatures(index.sample_rate), MfccFeatures(index.sample_rate)
    loudness = map_features(index, rows, mel, lambda _, frames: frames[0].logsumexp(1).numpy())
    mfcc = map_features(index, rows, cepstra, lambda _, frames: frames[0].numpy())
    speakers: dict[str, list[Recording]] = {}
    for row, levels, vectors in zip(rows, loudness, mfcc, strict=True):
        name = index.utt_id(row)
        recording = Recording(levels, vectors, phones.utterances[name], silence)
        speakers.setdefault(name.split("_")[0], []).append(recording)
    return speakers, len(phones.phones)


def measure(recordings: list[Recording], num_phones: int, shifts_ms: Iterable[int]) -> np.ndarray:
    """(shifts, 4): rise, fall, change and PNMI of one speaker with all times made so much earlier."""
    frames = np.concatenate([recording.mfcc for recording in recordings])
    centroids = fit_kmeans(frames, NUM_CLUSTERS).centroids
    units = [assign(torch.from_numpy(recording.mfcc), centroids).numpy() for recording in recordings]
    return np.array([
        (
            loudness_step(recordings, silence_ends, ms / 1000),
            -loudness_step(recordings, silence_starts, ms / 1000),
            change(recordings, ms / 1000),
            pnmi(recordings, units, num_phones, ms / 1000),
        )
        for ms in shifts_ms
    ])  # fmt: skip


def main() -> None:
    """Print a table per speaker, one line per shift, and the shift at which each measure is highest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump_set", type=Path, required=True, help="dump/train, with phones.ctm")
    parser.add_argument("--from_ms", type=int, default=-100, help="least shift, towards earlier times (%(default)s)")
    parser.add_argument("--to_ms", type=int, default=250, help="greatest (%(default)s)")
    parser.add_argument("--step_ms", type=int, default=10, help="(%(default)s)")
    arguments = parser.parse_args()
    shifts = range(arguments.from_ms, arguments.to_ms + 1, arguments.step_ms)
    speakers, num_phones = read_recordings(arguments.dump_set)
    for speaker, recordings in sorted(speakers.items()):
        figures = measure(recordings, num_phones, shifts)
        print(f"\n{speaker}: {len(recordings)} utterances\n")
        print("| earlier by (ms) | rise (dB) | fall (dB) | change | PNMI |\n|--:|--:|--:|--:|--:|")
        for ms, (rise, fall, distance, information) in zip(shifts, figures, strict=True):
            print(f"| {ms} | {rise:.1f} | {fall:.1f} | {distance:.2f} | {information:.3f} |")
        rise, fall, distance, information = (shifts[row] for row in figures.argmax(0))
        print(
            f"\nhighest at: rise {rise} ms, fall {fall} ms (half-way {(rise + fall) / 2:g} ms), change {distance} ms, "
            f"PNMI {information} ms"
        )


if __name__ == "__main__":
    run_main(main)
