"""A long recording in, the parts of it to train on out: speech by Silero VAD, cut at pauses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from espnet2.utils.extras import needs

SAMPLE_RATE = 16000  # Hz
WINDOW = 512  # samples per probability: what the model was trained with at 16 kHz
ROW_WINDOWS = 938  # 30 s: the model sees such rows of a recording side by side, which is several times faster
WARM_UP_WINDOWS = 60  # 2 s before each row that only fill the model's memory
ROWS = 32  # of a batch: 16 minutes, 60 MB
HYSTERESIS = 0.15  # speech ends below `threshold` less this (the library's own default)


class Part(NamedTuple):
    """A stretch of a recording."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class CutOptions:
    """How speech becomes parts."""

    max_seconds: float = 20.0  # of a part, padding included
    min_seconds: float = 1.0  # shorter parts are dropped
    max_pause_seconds: float = 1.0  # a longer one always ends a part
    padding_seconds: float = 0.1  # kept before and after speech
    threshold: float = 0.5  # probability from which it is speech


class SpeechDetector:
    """Silero VAD (MIT licence); its model comes with the package `silero-vad`."""

    def __init__(self) -> None:
        with needs(
            "cutting at pauses needs Silero VAD; install it: pip install silero-vad, which takes the torch you have"
        ):
            from silero_vad import load_silero_vad
        self._model = load_silero_vad()

    def probabilities(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """How likely each 32 ms are speech.

        Args:
            blocks: (samples,) int16 at 16 kHz, of any lengths.

        Returns:
            (windows,) float32; the last window may be partly beyond the end.
        """
        rows = list(self._rows(blocks))
        return np.concatenate(rows) if rows else np.zeros(0, np.float32)

    def _rows(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        row, warm_up = ROW_WINDOWS * WINDOW, WARM_UP_WINDOWS * WINDOW
        before = np.zeros(warm_up, np.int16)
        for samples in _regrouped(blocks, ROWS * row):
            num_rows = -(-len(samples) // row)
            padded = np.concatenate([before, samples, np.zeros(num_rows * row - len(samples), np.int16)])
            before = padded[-warm_up:]
            stacked = np.stack([padded[number * row : (number + 1) * row + warm_up] for number in range(num_rows)])
            yield self._batch(stacked)[: -(-len(samples) // WINDOW)]

    def _batch(self, rows: np.ndarray) -> np.ndarray:
        import torch  # here: most jobs meet no long file, and loading it takes seconds

        self._model.reset_states()
        with torch.inference_mode():
            wav = torch.from_numpy(rows.astype(np.float32) / 32768)
            probabilities = [self._model(window, SAMPLE_RATE) for window in wav.split(WINDOW, dim=1)]
        return torch.cat(probabilities, dim=1)[:, WARM_UP_WINDOWS:].flatten().numpy()


def _regrouped(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in arrays of `size`, the last one shorter."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        while count + len(block) >= size:
            head, block = block[: size - count], block[size - count :]
            yield np.concatenate([*held, head])
            held, count = [], 0
        held.append(block)
        count += len(block)
    if count:
        yield np.concatenate(held)


def cut_at_pauses(probabilities: np.ndarray, num_samples: int, options: CutOptions) -> list[Part]:
    """Stretches of speech, joined over short pauses while they fit; longer ones are cut where speech is unlikeliest.

    Args:
        probabilities: (windows,) from `SpeechDetector`.
        num_samples: length of the recording.
    """
    window_seconds = WINDOW / SAMPLE_RATE
    longest = max(1, int((options.max_seconds - 2 * options.padding_seconds) / window_seconds))
    pause = round(options.max_pause_seconds / window_seconds)
    joined: list[list[int]] = []
    for start, stop in _pieces(probabilities, options.threshold, longest):
        if joined and start - joined[-1][1] <= pause and stop - joined[-1][0] <= longest:
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
    parts, total, previous = [], num_samples / SAMPLE_RATE, 0.0
    for number, (start, stop) in enumerate(joined):
        following = joined[number + 1][0] * window_seconds if number + 1 < len(joined) else total
        end = stop * window_seconds
        padded_end = min(end + options.padding_seconds, (end + following) / 2, total)  # a pause is shared by halves
        padded_start = max(start * window_seconds - options.padding_seconds, previous)
        previous = padded_end
        if padded_end - padded_start >= options.min_seconds:
            parts.append(Part(round(padded_start, 3), round(padded_end, 3)))
    return parts


def _pieces(probabilities: np.ndarray, threshold: float, longest: int) -> Iterator[tuple[int, int]]:
    """(start, stop) windows of speech, none longer than `longest`."""
    for start, stop in _speech(probabilities, threshold):
        while stop - start > longest:
            half = start + longest // 2
            cut = half + 1 + int(np.argmin(probabilities[half + 1 : start + longest + 1])) if longest > 1 else start + 1
            yield start, cut
            start = cut
        yield start, stop


def _speech(probabilities: np.ndarray, threshold: float) -> Iterator[tuple[int, int]]:
    """(start, stop) windows from where the threshold is reached to where the lower one is not."""
    certain, possible = probabilities >= threshold, probabilities >= threshold - HYSTERESIS
    edges = np.flatnonzero(np.diff(np.concatenate([[False], possible, [False]]).astype(np.int8)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        hits = np.flatnonzero(certain[first:stop])
        if len(hits):
            yield int(first + hits[0]), int(stop)


def cut_evenly(num_seconds: float, options: CutOptions) -> list[Part]:
    """Equal parts of at most `max_seconds`, speech or not."""
    number = max(1, int(np.ceil(num_seconds / options.max_seconds)))
    edges = np.round(np.linspace(0, num_seconds, number + 1), 3)
    parts = [Part(float(start), float(end)) for start, end in pairwise(edges)]
    return [part for part in parts if part.end_seconds - part.start_seconds >= options.min_seconds]
