"""Unit sequences and phone alignments in, phone purity, cluster purity and PNMI out (HuBERT paper, section IV-C).

Conventions: frame t of units at r per second is the phone at its centre, t / r + 12.5 ms (the middle of a 25 ms
window); silence is a phone like any other; frames that no phone covers, and the longer of two ends, do not count.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet2.units.unit_file import iterate_units
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import iterate_table

WINDOW_SECONDS = 0.025  # of the first MFCC frame and of HuBERT's convolutions; its centre is the time of frame 0
NO_PHONE = -1
LATE_SECONDS = 0.15  # windows at the end have no label: 25 ms to 0.1 s; aligners round up
MOST_LATE = 0.05  # share of utterances
LONGEST_RATIO = 1.6  # pauses without a phone at the end are common; twice the length is a rate of half


@dataclass(frozen=True)
class UnitQuality:
    """How well units and phones agree, on the frames that have both."""

    phone_purity: float  # share of frames whose phone is the most frequent one of their unit
    cluster_purity: float  # share of frames whose unit is the most frequent one of their phone
    pnmi: float  # mutual information over phone entropy: how much of the phone a unit tells
    num_frames: int
    num_phones: int  # that occur
    num_used_units: int

    def describe(self) -> str:
        """One line for the log."""
        return (
            f"phone purity {self.phone_purity:.3f}, cluster purity {self.cluster_purity:.3f}, PNMI {self.pnmi:.3f} "
            f"({self.num_frames:,} frames, {self.num_used_units} units, {self.num_phones} phones)"
        )


@dataclass(frozen=True)
class Alignment:
    """The phones of one utterance, in the order of time."""

    starts: np.ndarray  # (phones,) seconds
    ends: np.ndarray  # (phones,) seconds
    phones: np.ndarray  # (phones,) ids, of `Alignments.phones`

    def frames(self, num_frames: int, frame_rate: float) -> np.ndarray:
        """The phone at the centre of each frame: (frames,) ids, NO_PHONE where none is."""
        centres = np.arange(num_frames) / frame_rate + WINDOW_SECONDS / 2
        last_begun = np.searchsorted(self.starts, centres, side="right") - 1
        covered = (last_begun >= 0) & (centres < self.ends[np.maximum(last_begun, 0)])
        return np.where(covered, self.phones[np.maximum(last_begun, 0)], NO_PHONE)


@dataclass(frozen=True)
class Alignments:
    """The phones of a set."""

    utterances: Mapping[str, Alignment]
    phones: tuple[str, ...]  # id -> symbol


def read_alignments(path: str | Path, utt_ids: Collection[str] | None = None) -> Alignments:
    """Read phones.ctm: "<utt> <channel> <start> <duration> <phone>" lines, seconds, ascending within an utterance.

    Args:
        utt_ids: only these utterances; None: all.

    Raises:
        UserError: the file is missing or a line is malformed, with its number.
    """
    ids: dict[str, int] = {}
    rows: dict[str, list[tuple[float, float, int]]] = {}
    for number, (utt_id, rest) in enumerate(iterate_table(path), 1):
        if utt_ids is not None and utt_id not in utt_ids:
            continue
        fields = rest.split()
        try:
            start, duration, phone = float(fields[1]), float(fields[2]), fields[3]
            if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
                raise ValueError(rest)
        except (IndexError, ValueError):
            raise UserError(
                f"{path}:{number}: expected '<utt> <channel> <start s> <duration s> <phone>', found '{utt_id} {rest}'"
            ) from None
        utterance = rows.setdefault(utt_id, [])
        if utterance and start < utterance[-1][0]:
            raise UserError(
                f"{path}:{number}: phones of {utt_id} are not in order of time; sort by utterance and start"
            )
        utterance.append((start, start + duration, ids.setdefault(phone, len(ids))))
    if not rows:
        raise UserError(f"{path}: no phones in it" + (" of this set: is it of another corpus?" if utt_ids else ""))
    return Alignments({utt_id: _alignment(utterance) for utt_id, utterance in rows.items()}, tuple(ids))


def _alignment(rows: list[tuple[float, float, int]]) -> Alignment:
    starts, ends, phones = zip(*rows, strict=True)
    return Alignment(np.array(starts), np.array(ends), np.array(phones))


def joint_counts(pairs: Iterable[tuple[np.ndarray, np.ndarray]], num_units: int, num_phones: int) -> np.ndarray:
    """Count how often each unit meets each phone.

    Args:
        pairs: (units of frames, phones of frames) of each utterance; the longer of the two is cut.

    Returns:
        (units, phones) int64.
    """
    counts = np.zeros(num_units * num_phones, dtype=np.int64)
    for units, phones in pairs:
        length = min(len(units), len(phones))
        units, phones = np.asarray(units[:length], dtype=np.int64), np.asarray(phones[:length], dtype=np.int64)
        known = phones != NO_PHONE
        counts += np.bincount(units[known] * num_phones + phones[known], minlength=len(counts))
    return counts.reshape(num_units, num_phones)


def quality_of_counts(counts: np.ndarray) -> UnitQuality:
    """Purities and PNMI of (units, phones) counts.

    Raises:
        UserError: no frame has both a unit and a phone.

    >>> quality_of_counts(np.array([[2, 0], [1, 1]])).phone_purity
    0.75
    """
    total = int(counts.sum())
    if total == 0:
        raise UserError("no frame has both a unit and a phone; are the alignments of the same utterances?")
    joint = counts / total
    unit_shares, phone_shares = joint.sum(1), joint.sum(0)
    seen = joint > 0
    information = (joint[seen] * np.log(joint[seen] / np.outer(unit_shares, phone_shares)[seen])).sum()
    phone_entropy = -(phone_shares[phone_shares > 0] * np.log(phone_shares[phone_shares > 0])).sum()
    return UnitQuality(
        phone_purity=float(joint.max(1).sum()),
        cluster_purity=float(joint.max(0).sum()),
        pnmi=float(information / phone_entropy) if phone_entropy > 0 else 0.0,
        num_frames=total,
        num_phones=int((phone_shares > 0).sum()),
        num_used_units=int((unit_shares > 0).sum()),
    )


def units_at_rate(units: np.ndarray, unit_rate: float, frame_rate: float) -> np.ndarray:
    """Every n-th unit, so that units of 100 per second compare with those of 50 on the same frames.

    Raises:
        UserError: `unit_rate` is no multiple of `frame_rate`.
    """
    stride = round(unit_rate / frame_rate)
    if stride < 1 or abs(stride * frame_rate - unit_rate) > 1e-6 * unit_rate:
        raise UserError(f"units of {unit_rate:g} per second cannot be thinned to {frame_rate:g}: not a whole multiple")
    return units[::stride]


def check_times(text: str | Path, seconds: Sequence[tuple[float, float]], label_rate: float) -> None:
    """Refuse labels and phones that cannot be of the same audio: another label rate, or times in another unit.

    Phones end with the audio or before it, and labels end with it, less the last window.

    Args:
        seconds: how long the labels and the phones of each utterance last.

    Raises:
        UserError: the phones of more than a few utterances end behind their labels, or the labels of most go on long
            behind their phones.
    """
    labels, phones = np.array(seconds).T
    late = phones > labels + LATE_SECONDS + 1 / label_rate
    ratio = float(np.median(labels / np.maximum(phones, 1e-9)))
    if late.mean() > MOST_LATE or ratio > LONGEST_RATIO:
        example = int(np.argmax(late)) if late.any() else 0
        raise UserError(
            f"{text}: at {label_rate:g} labels per second one has {labels[example]:.2f} s, its phones end at "
            f"{phones[example]:.2f} s ({int(late.sum()):,} of {len(late):,} end behind their labels, which are "
            f"{ratio:.2f} times as long in the middle): is the rate about {label_rate * ratio:.3g} per second, or are "
            "the times of the phones not seconds, or of other audio?"
        )


def label_text_quality(
    text: str | Path,
    alignments: Alignments,
    *,
    label_rate: float,
    frame_rate: float,
    num_units: int | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> UnitQuality:
    """The quality of a label text ("<utt> 3 3 17 ...") on the utterances that have alignments.

    Args:
        label_rate: labels per second of the text.
        frame_rate: compare at this many per second; a divisor of label_rate.
        num_units: refuse labels that are not below this.
        report: gets a line about utterances that are left out.

    Raises:
        UserError: a malformed text, an utterance that stands there twice, one of more units, or none of its utterances
            is aligned.
    """
    highest, without = 0, 0
    seen: set[str] = set()
    seconds: list[tuple[float, float]] = []  # of labels and of phones

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal highest, without
        for utt_id, labels in iterate_units(text, num_units):
            if utt_id in seen:
                raise UserError(f"{text}: the utterance '{utt_id}' stands there twice; which of the lines is right?")
            seen.add(utt_id)
            alignment = alignments.utterances.get(utt_id)
            if alignment is None:
                without += 1
                continue
            highest = max(highest, int(labels.max(initial=0)))
            seconds.append((len(labels) / label_rate, float(alignment.ends.max())))
            units = units_at_rate(labels, label_rate, frame_rate)
            yield units, alignment.frames(len(units), frame_rate)

    frame_pairs = list(pairs())
    if not frame_pairs:
        raise UserError(f"{text}: none of its utterances has an alignment; are both of the same set?")
    check_times(text, seconds, label_rate)
    unlabelled = len(alignments.utterances) - len(frame_pairs)
    if without or unlabelled:
        report(f"{text}: left out {without:,} utterances without phones, {unlabelled:,} with phones and no labels")
    return quality_of_counts(joint_counts(frame_pairs, highest + 1, len(alignments.phones)))
