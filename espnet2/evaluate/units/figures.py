"""Units and phones of the same frames in, what the units are worth out: agreement with phones, bitrate, use, runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from espnet2.data.labels.statistics import label_statistics
from espnet2.evaluate.units.row import HeatMap, SetFigures
from espnet2.units.aligned import AlignedSet
from espnet2.units.quality import joint_counts, quality_of_counts
from espnet2.units.unit_file import run_lengths

Figure = Literal[
    "phone_purity", "cluster_purity", "pnmi",
    "bitrate", "bitrate_deduplicated", "perplexity", "used_clusters", "mean_run_frames",
]  # fmt: skip
PHONE_FIGURES: tuple[Figure, ...] = ("phone_purity", "cluster_purity", "pnmi")
LABEL_FIGURES: tuple[Figure, ...] = (
    "bitrate", "bitrate_deduplicated", "perplexity", "used_clusters", "mean_run_frames",
)  # fmt: skip
DIGITS = 4  # of the shares of a heat map: it is looked at


def measure_units(units: np.ndarray, aligned: AlignedSet, num_units: int, frame_rate: float) -> dict[str, float]:
    """Every figure of one sequence of units.

    Bitrates are those of the Zero Resource Speech Challenge 2019 (Dunbar et al. 2019, "bitrate"): symbols per second
    times the entropy of their frequencies, of all frames and of runs of equal units.

    Args:
        units: (frames,) ids in 0..num_units-1, of all frames of `aligned`.
        frame_rate: units per second that carry information: repeated frames of a slower model do not.

    Returns:
        LABEL_FIGURES and, where there are phones, PHONE_FIGURES.
    """
    utterances = aligned.split(units)
    frames = label_statistics(utterances, num_units)
    runs = label_statistics([run_lengths(utterance)[0] for utterance in utterances], num_units)
    bits = 1 / math.log(2)
    figures = {
        "bitrate": frame_rate * frames.entropy_nats * bits,
        "bitrate_deduplicated": frame_rate * runs.num_labels / frames.num_labels * runs.entropy_nats * bits,
        "perplexity": frames.perplexity,
        "used_clusters": frames.num_used_classes,
        "mean_run_frames": frames.mean_run_labels,
    }
    if aligned.phones is not None:
        quality = quality_of_counts(joint_counts([(units, aligned.phones)], num_units, aligned.num_phones))
        figures |= {name: getattr(quality, name) for name in PHONE_FIGURES}
    return figures


def summarise(figures: Sequence[Mapping[str, float]]) -> SetFigures:
    """The mean of each figure over seeds, and the largest less the smallest."""
    values = {name: [seed_figures[name] for seed_figures in figures] for name in figures[0]}
    means = {name: float(np.mean(of_seeds)) for name, of_seeds in values.items()}
    return SetFigures(means, {name: float(np.ptp(of_seeds)) for name, of_seeds in values.items()})


def heat_map(units: np.ndarray, aligned: AlignedSet, num_units: int) -> HeatMap:
    """How often each phone is heard where a unit is: rows are units, columns phones; the diagonal shows the agreement.

    Phones are ordered by how often they occur, units by the phone they mean most; what never occurs is left out.
    """
    assert aligned.phones is not None, "nothing to show without phones"
    counts = joint_counts([(units, aligned.phones)], num_units, aligned.num_phones)
    phones = np.argsort(-counts.sum(0), kind="stable")
    phones = phones[counts.sum(0)[phones] > 0]
    used = np.flatnonzero(counts.sum(1))
    shares = counts[used][:, phones] / counts[used].sum(1, keepdims=True)
    best = shares.argmax(1)
    order = np.lexsort((-shares.max(1), best))
    symbols = [aligned.symbols[phone] for phone in phones]
    return HeatMap(symbols, used[order].tolist(), shares[order].round(DIGITS).tolist())
