"""Phones of utterances in, phones in context (the items of ABX) as stretches of frames, grouped and thinned, out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np

from espnet2.evaluate.abx.clock import CLOCKS, Clock
from espnet2.evaluate.abx.rule import CONDITIONS, TRIPHONE, Condition
from espnet2.units.quality import Alignment
from espnet2.utils.files import hash_bytes

# Kaldi's, MFA's, HTK's and Festival's names of what is no phone; Kaldi may add its place in the word (SIL_S).
NO_SPEECH = frozenset({"", "sil", "sp", "spn", "nsn", "lau", "pau", "h#", "ssil", "<eps>", "<sil>", "#"})
PLACES = ("_B", "_I", "_E", "_S")
GAP_SECONDS = 0.011  # phones further apart than a step of most aligners (10 ms) are no neighbours
DEFAULT = CONDITIONS["triphone-within"]


class Utterance(NamedTuple):
    """What ABX needs to know of one."""

    utt_id: str
    speaker: str
    num_frames: int  # that all systems have
    alignment: Alignment


class Item(NamedTuple):
    """A phone between two others, spoken once."""

    context: str  # "<previous phone> <next phone>"; "" where any will do
    speaker: str
    phone: str  # the middle one
    order: str  # a hash: who comes first when there are too many
    utterance: int  # which of the utterances
    first: int  # frame of the utterance at which the previous phone starts; of phonemes: the phone itself
    num_frames: int  # until the next phone ends; of phonemes: the phone itself


@dataclass(frozen=True)
class Items:
    """All items that may be compared: those of a group (same context, speaker and phone) lie together."""

    items: tuple[Item, ...]  # sorted by context, speaker, phone, order
    firsts: np.ndarray  # (groups,) first item of each
    sizes: np.ndarray  # (groups,) items of each
    dropped: dict[str, int]  # reason (group, gap, frame) -> how many phones in context were left out for it

    def group(self, number: int) -> Item:
        """An item of the group: its context, speaker and phone are those of all."""
        return self.items[int(self.firsts[number])]

    @property
    def speakers(self) -> frozenset[str]:
        return frozenset(item.speaker for item in self.items)


def is_speech(phone: str) -> bool:
    """Whether a symbol of an alignment stands for a phone and not for silence or noise.

    >>> [is_speech(phone) for phone in ("a", "SIL", "sil_S", "S")]
    [True, False, False, True]
    """
    name = phone[:-2] if phone.endswith(PLACES) else phone
    return name.lower() not in NO_SPEECH


def find_items(
    utterances: Sequence[Utterance],
    phones: Sequence[str],
    *,
    frame_rate: float,
    max_group: int | None,
    seed: int = 0,
    condition: Condition = DEFAULT,
    clock: Clock = CLOCKS["window"],
) -> Items:
    """Cut every phone with its two neighbours out of the utterances, as one stretch from the first to the last.

    The items of ZeroSpeech (Schatz et al. 2013, section 2; Libri-light, Kahn et al. 2020, section 3.1): the previous
    phone, the phone and the next one, all of them speech. Libri-light's program loses the last frame of each item by an
    oversight, which is not copied.

    Args:
        phones: id -> symbol, of the alignments.
        frame_rate: frames per second.
        max_group: of more items of one context, speaker and phone, those with the lowest hash are kept; None: all.
        condition: phonemes are the same phones without their neighbours.
        clock: which frames belong to an item.
    """
    dropped: Counter[str] = Counter()
    pieces = (
        item
        for number, utterance in enumerate(utterances)
        for item in _items_of(number, utterance, phones, frame_rate, seed, dropped, condition, clock)
    )
    return group_items(pieces, max_group, dropped)


def group_items(pieces: Iterable[Item], max_group: int | None, dropped: Counter[str]) -> Items:
    """Put the items of a group together, and leave out what is too many.

    Args:
        max_group: as for `find_items`.
        dropped: what was left out before.
    """
    kept: list[Item] = []
    firsts: list[int] = []
    for item in sorted(pieces):
        if not kept or item[:3] != kept[firsts[-1]][:3]:
            firsts.append(len(kept))
        if max_group is not None and len(kept) - firsts[-1] >= max_group:
            dropped["group"] += 1
        else:
            kept.append(item)
    sizes = np.diff([*firsts, len(kept)])
    return Items(tuple(kept), np.array(firsts, dtype=np.int64), sizes.astype(np.int64), dict(dropped))


def _items_of(
    number: int,
    utterance: Utterance,
    phones: Sequence[str],
    frame_rate: float,
    seed: int,
    dropped: Counter[str],
    condition: Condition,
    clock: Clock,
) -> Iterator[Item]:
    alignment = utterance.alignment
    names = [phones[phone] for phone in alignment.phones]
    around = int(condition.span == TRIPHONE)  # neighbours that belong to the stretch, on either side
    middles = np.arange(1, max(1, len(names) - 1))
    spans = alignment.starts[middles - around], alignment.ends[middles + around]
    bounds = zip(*clock.frames(*spans, frame_rate, utterance.num_frames), strict=True)
    for middle, (first, stop) in zip(middles.tolist(), bounds, strict=True):
        if not all(map(is_speech, names[middle - 1 : middle + 2])):
            continue
        gaps = alignment.starts[middle : middle + 2] - alignment.ends[middle - 1 : middle + 1]
        if gaps.max() > GAP_SECONDS:
            dropped["gap"] += 1
        elif stop <= first:
            dropped["frame"] += 1
        else:
            order = hash_bytes(str(seed), utterance.utt_id, str(middle))
            context = f"{names[middle - 1]} {names[middle + 1]}" if condition.context == "within" else ""
            yield Item(context, utterance.speaker, names[middle], order, number, int(first), int(stop - first))


def describe_dropped(items: Items, max_group: int, frame_rate: float) -> list[str]:
    """A sentence per reason, for those who think in phones."""
    reasons = {
        "group": f"where one speaker says the same phone between the same two neighbours more than {max_group} times, "
        f"only {max_group} of these are compared, so that frequent words do not decide the figure; abx.max_group "
        "(ssl_evaluate --options, in a recipe --eval_args) changes the number, 0 compares all",
        "gap": f"the alignment leaves more than {1000 * GAP_SECONDS:.0f} ms between the phone and a neighbour",
        "frame": f"all three phones together are shorter than the step of the frames ({1000 / frame_rate:g} ms), or "
        "lie behind the last one",
    }
    total = len(items.items) + sum(items.dropped.values())
    return [
        f"{items.dropped[reason]:,} of {total:,} phones in context (each with the phone before and the phone after it) "
        f"were left out: {text}"
        for reason, text in reasons.items()
        if items.dropped.get(reason)
    ]


class ItemCountsJson(TypedDict):
    """How much was compared, as eval/abx.json has it."""

    num_items: int
    num_groups: int
    num_contexts: int
    num_speakers: int


def summary(items: Items) -> ItemCountsJson:
    """Counts for the JSON file."""
    return {
        "num_items": len(items.items),
        "num_groups": len(items.sizes),
        "num_contexts": len({item.context for item in items.items}),
        "num_speakers": len(items.speakers),
    }
