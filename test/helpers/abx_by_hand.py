"""Phones and frames of a made-up corpus in, ABX error rates by plain loops out: the published definition, word by word.

Nothing of espnet2 is used: what the tests compare with it must not share its mistakes.
"""

import math
import random
from collections import defaultdict
from itertools import product
from typing import NamedTuple

WINDOW_SECONDS = 0.025
SILENCE = "SIL"
# (distance, mode) -> what fastabx 0.9.0 gave for `fastabx_corpus`; test/interop/test_fastabx.py computes it again.
FASTABX_FIGURES = {
    ("angular", "within"): 0.328961,
    ("angular", "across"): 0.336435,
    ("euclidean", "within"): 0.341911,
    ("euclidean", "across"): 0.334294,
    ("equal", "within"): 0.421025,
    ("equal", "across"): 0.415390,
}


class Spoken(NamedTuple):
    """An utterance."""

    utt_id: str
    speaker: str
    phones: list[tuple[float, float, str]]  # start and end in seconds, symbol
    frames: list[list[float]]


class Token(NamedTuple):
    """A phone between two others."""

    context: tuple[str, str]
    speaker: str
    phone: str
    frames: list[list[float]]


def make_corpus(
    seed: int, *, num_speakers: int, num_utterances: int, rate: float = 50.0, dim: int = 5, noise: float = 1.0
) -> list[Spoken]:
    """Utterances of few phones, so that contexts come again; frames are the phone's own vector and noise."""
    generator = random.Random(seed)
    means = {name: [generator.gauss(0, 1) for _ in range(dim)] for name in ("a", "b", "c", SILENCE)}
    spoken = []
    for number in range(num_utterances):
        phones, time = [], 0.0
        for name in generator.choices(list(means), weights=(3, 3, 3, 1), k=14):
            end = time + generator.uniform(0.015, 0.07)
            phones.append((time, end, name))
            time = end
        frames = []
        for t in range(int((time - WINDOW_SECONDS) * rate) + 1):
            centre = t / rate + WINDOW_SECONDS / 2
            mean = means[next(name for _, end, name in phones if centre < end)]
            frames.append([value + noise * generator.gauss(0, 1) for value in mean])
        spoken.append(Spoken(f"u{number:03d}", f"s{number % num_speakers}", phones, frames))
    return spoken


def as_units(spoken: list[Spoken]) -> list[Spoken]:
    """Few units: paths often cost the same, so that what breaks a tie shows in the figure."""
    return [
        utterance._replace(frames=[[float(frame.index(max(frame)))] for frame in utterance.frames])
        for utterance in spoken
    ]


def fastabx_corpus(distance: str) -> list[Spoken]:
    """The corpus of `FASTABX_FIGURES`."""
    spoken = make_corpus(0, num_speakers=3, num_utterances=60, noise=0.8)
    return as_units(spoken) if distance == "equal" else spoken


def tokens_of(spoken: list[Spoken], rate: float = 50.0) -> list[Token]:
    """Every phone with two neighbours that are speech, and the frames from the first to the last of the three."""
    tokens = []
    for utterance in spoken:
        for before, phone, after in zip(utterance.phones, utterance.phones[1:], utterance.phones[2:], strict=False):
            if SILENCE in (before[2], phone[2], after[2]):
                continue
            frames = [
                frame
                for t, frame in enumerate(utterance.frames)
                if before[0] <= t / rate + WINDOW_SECONDS / 2 < after[1]
            ]
            if frames:
                tokens.append(Token((before[2], after[2]), utterance.speaker, phone[2], frames))
    return tokens


def frame_distance(left: list[float], right: list[float], distance: str) -> float:
    """Between two frames."""
    if distance == "equal":
        return float(left[0] != right[0])
    if distance == "euclidean":
        return math.dist(left, right)
    lengths = math.hypot(*left), math.hypot(*right)
    if 0 in lengths:
        return 0.0 if lengths == (0, 0) else 1.0
    cosine = sum(a * b for a, b in zip(left, right, strict=True)) / (lengths[0] * lengths[1])
    return math.acos(max(-1.0, min(1.0, cosine))) / math.pi


def path_distance(rows: list[list[float]], columns: list[list[float]], distance: str) -> float:
    """Dynamic time warping; the cost of the path over its length, found by walking back as Libri-light does."""
    costs: list[list[float]] = []
    for i, j in product(range(len(rows)), range(len(columns))):
        if j == 0:
            costs.append([])
        before = [costs[p][q] for p, q in ((i - 1, j - 1), (i, j - 1), (i - 1, j)) if p >= 0 and q >= 0]
        costs[i].append(frame_distance(rows[i], columns[j], distance) + min(before, default=0.0))
    i, j, length = len(rows) - 1, len(columns) - 1, 1
    while i > 0 or j > 0:
        both = costs[i - 1][j - 1] if i and j else math.inf
        column = costs[i][j - 1] if j else math.inf
        row = costs[i - 1][j] if i else math.inf
        if both <= column and both <= row:
            i, j = i - 1, j - 1
        elif column <= row:
            j -= 1
        else:
            i -= 1
        length += 1
    return costs[-1][-1] / length


def abx_error(spoken: list[Spoken], mode: str, distance: str, rate: float = 50.0) -> float:
    """Means over triples, then contexts (and speakers of X), then speakers, then pairs of phones."""
    groups: dict[tuple, list[Token]] = defaultdict(list)
    for token in tokens_of(spoken, rate):
        groups[token.context, token.speaker, token.phone].append(token)
    by_context: dict[tuple, list[float]] = defaultdict(list)
    for (context, speaker, phone), same in groups.items():
        for (other_context, other_speaker, other_phone), others in groups.items():
            if (other_context, other_speaker) != (context, speaker) or other_phone == phone:
                continue
            if mode == "within":
                by_context[speaker, phone, other_phone] += mean_error(same, others, same, distance)
                continue
            for (x_context, x_speaker, x_phone), xs in groups.items():
                if (x_context, x_phone) == (context, phone) and x_speaker != speaker:
                    by_context[speaker, phone, other_phone] += mean_error(same, others, xs, distance)
    by_speaker: dict[tuple, list[float]] = defaultdict(list)
    for (_, phone, other), errors in by_context.items():
        if errors:
            by_speaker[phone, other].append(sum(errors) / len(errors))
    pairs = [sum(errors) / len(errors) for errors in by_speaker.values()]
    return sum(pairs) / len(pairs)


def mean_error(a_group: list[Token], b_group: list[Token], x_group: list[Token], distance: str) -> list[float]:
    """Of one comparison; nothing where there is no triple."""
    errors = []
    for x, a, b in product(x_group, a_group, b_group):
        if x is a:
            continue
        to_a = path_distance(x.frames, a.frames, distance)
        to_b = path_distance(x.frames, b.frames, distance)
        errors.append(1.0 if to_a > to_b else 0.5 if to_a == to_b else 0.0)
    return [sum(errors) / len(errors)] if errors else []
