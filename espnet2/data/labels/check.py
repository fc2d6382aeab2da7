"""The guard of labels: those that do not fit the index or the model are refused, with the likely cause."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.joined import check_same_labels
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.data.labels.whole import require_whole
from espnet2.utils.errors import UserError

LABEL_RATES = (100, 50, 25)  # per second: MFCC frames, HuBERT's frames, frames subsampled by two
WINDOW_MILLISECONDS = 25  # of the first frame: Kaldi's MFCC, and the receptive field of HuBERT's convolutions
TOLERANCE_LABELS = 2  # centred or padded framing differs from ours by up to this many
MAX_MISSING_RATIO = 0.001  # of the utterances of a set
RATE_ERROR = 0.2  # relative; candidate rates differ by a factor of two
SLOWEST_FRAMES_HZ = 20  # fewer tokens a second than this are words, letters or phones
SHOWN = 5  # offenders named in an error


class Index(Protocol):
    """What the checks read of `espnet2.data.index.AudioIndex`."""

    num_samples: np.ndarray  # (utterances,)
    sample_rate: int  # Hz
    hash: str

    def utt_id(self, row: int) -> str: ...


def expected_counts(num_samples: np.ndarray, *, sample_rate: int, label_rate: float) -> np.ndarray:
    """Frames of unpadded 25 ms windows at `label_rate` per second: (utterances,) samples -> (utterances,) int64.

    >>> expected_counts(np.array([16000, 399]), sample_rate=16000, label_rate=50)
    array([49,  0])
    """
    milli_samples = np.asarray(num_samples, dtype=np.int64) * 1000 - WINDOW_MILLISECONDS * sample_rate
    return (milli_samples * label_rate // (1000 * sample_rate) + 1).clip(min=0)


def infer_label_rate(counts: np.ndarray, index: Index, *, source: str) -> int:
    """Labels per second, one of LABEL_RATES, from the counts of the utterances that have labels.

    Args:
        counts: (utterances,) labels of each; 0 for none.

    Raises:
        UserError: none of the rates fits.
    """
    rate = _guess_label_rate(counts, index)
    if rate is None:
        raise UserError(
            f"{source}: {_labels_per_second(counts, index):.1f} labels per second (median over utterances); expected "
            f"{', '.join(str(rate) for rate in LABEL_RATES)}. {_cause_of_rate(counts, index)}"
        )
    return rate


def _guess_label_rate(counts: np.ndarray, index: Index) -> int | None:
    labelled = counts > 0
    num_samples = np.asarray(index.num_samples)[labelled]

    def error(rate: int) -> float:
        expected = expected_counts(num_samples, sample_rate=index.sample_rate, label_rate=rate).clip(min=1)
        return float(np.median(np.abs(counts[labelled] - expected) / expected))

    best = min(LABEL_RATES, key=error)
    return best if error(best) <= RATE_ERROR else None


def _labels_per_second(counts: np.ndarray, index: Index) -> float:
    labelled = counts > 0
    return float(np.median(counts[labelled] * index.sample_rate / np.asarray(index.num_samples)[labelled]))


def _cause_of_rate(counts: np.ndarray, index: Index) -> str:
    if _labels_per_second(counts, index) < SLOWEST_FRAMES_HZ:
        return (
            "These look like words, letters or phones of a transcript: an objective that predicts one label a frame "
            "cannot use them; make labels with hubert1 (--pseudo_labels)"
        )
    return "Were the labels made from this audio, at this sampling rate and speed?"


def check_labels(
    counts: np.ndarray,
    statistics: LabelStatistics,
    index: Index,
    *,
    label_rate: float,
    source: str,
    tolerance_labels: int = TOLERANCE_LABELS,
    max_missing_ratio: float = MAX_MISSING_RATIO,
) -> None:
    """Refuse labels that do not belong to the audio of an index or teach nothing.

    Args:
        counts: (utterances,) labels of each row of the index; 0 for none.
        source: named in the errors: the file that holds the labels.
        tolerance_labels: by how many an utterance's labels may differ from its frames.
        max_missing_ratio: share of the utterances that may lack labels.

    Raises:
        UserError: too many utterances without labels, a count off by more than the tolerance, or fewer than two classes
            in use; the first five offenders and the likely cause are named.
    """
    check_missing(counts, index, source=source, max_missing_ratio=max_missing_ratio)
    _check_counts(counts, index, label_rate, source, tolerance_labels)
    if statistics.num_used_classes < 2:
        raise UserError(
            f"{source}: all {statistics.num_labels:,} labels are of class {statistics.top_class}; expected many of the "
            f"{statistics.num_classes} classes. Was the right token list used, and did the clustering succeed?"
        )


def check_missing(
    counts: np.ndarray, index: Index, *, source: str, max_missing_ratio: float = MAX_MISSING_RATIO
) -> None:
    """The first part of `check_labels`: which utterances have none.

    Raises:
        UserError: more than the given share, or all.
    """
    missing = np.flatnonzero(counts == 0)
    if len(missing) == 0 or (len(missing) <= max_missing_ratio * len(counts) and len(missing) < len(counts)):
        return
    cause = (
        "The file belongs to another set, or utterances were renamed"
        if len(missing) == len(counts)
        else "Were the labels of all jobs merged, and made from this set?"
    )
    raise UserError(
        f"{source}: {len(missing):,} of {len(counts):,} utterances have no labels "
        f"({_names(index.utt_id(row) for row in missing[:SHOWN])}{', ..' if len(missing) > SHOWN else ''}); "
        f"expected at most {100 * max_missing_ratio:g} % (--max_missing_ratio). {cause}"
    )


def _check_counts(counts: np.ndarray, index: Index, label_rate: float, source: str, tolerance_labels: int) -> None:
    expected = expected_counts(index.num_samples, sample_rate=index.sample_rate, label_rate=label_rate)
    difference = counts - expected
    off = np.flatnonzero((np.abs(difference) > tolerance_labels) & (counts > 0))
    if len(off) == 0:
        return
    guess = _guess_label_rate(counts, index)
    if guess is None:
        cause = _cause_of_rate(counts, index)
    elif guess != label_rate:
        cause = f"There are about {guess} labels per second: pass --label_rate {guess}"
    elif len(off) > len(counts) / 2 and np.ptp(difference[off]) <= 1:
        cause = (
            f"Nearly all differ by {int(np.median(difference[off])):+d}, so their frames were made with padding: pass "
            f"--tolerance_labels {np.abs(difference[off]).max()} if they start where ours start, at the first sample"
        )
    else:
        cause = "Was the audio changed after the labels were made (cut, another speed), or the file cut short?"
    lines = "".join(
        f"\n  {index.utt_id(row)}: {counts[row]} labels, expected {expected[row]} "
        f"({index.num_samples[row] / index.sample_rate:.2f} s)"
        for row in off[:SHOWN]
    )
    raise UserError(
        f"{source}: at {label_rate} labels per second, {len(off):,} of {len(counts):,} utterances have more or fewer "
        f"labels than frames, by more than {tolerance_labels}; {cause}{lines}"
    )


def label_stride(label_rate: float, geometry: FrameGeometry, *, allow_rate_reduction: bool = False, source: str) -> int:
    """How many labels lie from one frame to the next.

    One (equal rates), or two for 10 ms labels on 20 ms frames, as in HuBERT's first iteration. Any other whole number
    drops labels that the model could have learned, so it is taken on request only.

    Raises:
        UserError: the rates do not fit.
    """
    stride = label_rate / geometry.frame_rate
    if stride < 1 or stride != round(stride):
        raise UserError(
            f"{source}: {label_rate:g} labels per second, but the model makes {geometry.frame_rate:g} frames a second; "
            "expected a whole number of labels for each frame: use labels of a higher rate or a frontend of a lower one"
        )
    hubert_first_iteration = (label_rate, geometry.frame_rate) == (100, 50)
    if stride > 1 and not hubert_first_iteration and not allow_rate_reduction:
        raise UserError(
            f"{source}: {label_rate:g} labels per second on {geometry.frame_rate:g} frames per second would use one of "
            f"{stride:g} labels; make labels of the model's rate, or ask for it with allow_rate_reduction: true"
        )
    return round(stride)


def check_training_labels(
    parts: Sequence[PackedLabels],
    indexes: Sequence[Index],
    geometry: FrameGeometry,
    *,
    allow_rate_reduction: bool = False,
) -> None:
    """What a training run asks before it starts; reads the labels for their hash alone: `check_labels` judged them.

    Args:
        parts: labels of each set, as in `JoinedLabels.parts`; those of the train sets and of the valid sets together.
        indexes: index of each set, in the same order, as in `JoinedIndex.parts`.
        geometry: of the frames that reach the encoder.

    Raises:
        UserError: labels of another index or of different clusters, damaged ones, or a rate that does not fit. (A
            num_classes of the config that differs from theirs is refused where the model is built.)
    """
    if len(parts) != len(indexes):
        raise UserError(f"{len(parts)} label folders for {len(indexes)} sets; expected one for each, in the same order")
    for labels, index in zip(parts, indexes, strict=True):
        check_same_labels(parts[0], labels)
        if labels.index_hash != index.hash:
            raise UserError(
                f"{labels.directory}: these labels were packed for another index ({labels.index_hash}) than the set's "
                f"({index.hash}): its utterances changed, or the sets are in another order; run stages 5 and 6 again"
            )
        require_whole(labels)
        label_stride(
            labels.label_rate, geometry, allow_rate_reduction=allow_rate_reduction, source=str(labels.directory)
        )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
