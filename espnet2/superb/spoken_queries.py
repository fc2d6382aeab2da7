"""Query by example (QbE): dynamic time warping of a spoken query against every stretch of every document."""

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

SHORTEST_QUERY = 5  # frames; s3prl, quesst14_dtw/expert.py gives what is shorter a score of 0
FRAMES_AT_ONCE = 200_000  # of documents: memory grows with it times the frames of a query
TRIAL_FRAMES = 50_000  # of a trial that tells the time
FLOOR = 1e-9  # of deviations and ranges: s3prl's


class Documents:
    """Frames of documents, one behind the other."""

    def __init__(self, frames: Mapping[str, np.ndarray]) -> None:
        self.names = list(frames)
        self.frames = np.concatenate([_unit(values) for values in frames.values()])
        self.lengths = np.array([len(values) for values in frames.values()])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])


def documents_of(frames: Mapping[str, np.ndarray]) -> list[Documents]:
    """(frames, dim) of every document -> groups that fit into memory."""
    groups: list[dict[str, np.ndarray]] = [{}]
    count = 0
    for name, values in frames.items():
        if groups[-1] and count + len(values) > FRAMES_AT_ONCE:
            groups.append({})
            count = 0
        groups[-1][name] = values
        count += len(values)
    return [Documents(group) for group in groups]


def query_scores(query: np.ndarray, groups: Sequence[Documents]) -> dict[str, float]:
    """Document -> score, with zero mean and unit deviation over documents; (frames, dim) of the query."""
    if len(query) < SHORTEST_QUERY:
        return {name: 0.0 for group in groups for name in group.names}
    costs = {name: cost for group in groups for name, cost in _costs(query, group)}
    values = -np.array(list(costs.values()))
    values = (values - values.mean()) / max(float(values.std()), FLOOR)
    return dict(zip(costs, values.tolist(), strict=True))


def seconds_per_frame(num_frames: float, dim: int) -> float:
    """What a frame of a query takes against documents of so many frames: a trial with noise, at most a group."""
    generator = np.random.default_rng(0)
    count = max(1, min(round(num_frames), TRIAL_FRAMES))
    group = Documents({"": generator.standard_normal((count, dim), dtype=np.float32)})
    query = generator.standard_normal((SHORTEST_QUERY, dim), dtype=np.float32)
    began = time.monotonic()
    query_scores(query, [group])
    return (time.monotonic() - began) / len(query) * max(1.0, num_frames / count)


def _costs(query: np.ndarray, group: Documents) -> Iterator[tuple[str, float]]:
    """Cost per query frame of the best stretch of every document.

    Steps of dtw's `asymmetric` pattern (a query frame on; a document frame none, one or two), begin and end free.
    Distances are exp(1 - cosine) - 1, scaled to 0..1 over every document, query frame by query frame.
    """
    before: np.ndarray | None = None
    is_first = np.zeros(len(group.frames), dtype=bool)
    is_first[group.starts] = True
    is_second = np.zeros_like(is_first)
    is_second[(group.starts + 1)[group.lengths > 1]] = True
    for frame in _unit(query):
        distance = np.exp(1 - group.frames @ frame) - 1
        least = np.minimum.reduceat(distance, group.starts)
        most = np.maximum.reduceat(distance, group.starts)
        distance = (distance - least.repeat(group.lengths)) / np.maximum(most - least, FLOOR).repeat(group.lengths)
        if before is None:
            before = distance
            continue
        one = np.where(is_first, np.inf, np.roll(before, 1))
        two = np.where(is_first | is_second, np.inf, np.roll(before, 2))
        before = distance + np.minimum(np.minimum(before, one), two)
    assert before is not None, "a query has frames"
    yield from zip(group.names, (np.minimum.reduceat(before, group.starts) / len(query)).tolist(), strict=True)


def _unit(frames: np.ndarray) -> np.ndarray:
    """(frames, dim) of length 1."""
    unit: np.ndarray = frames / np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), FLOOR)
    return unit


def standardised(frames: Mapping[str, np.ndarray], *others: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Zero mean and unit deviation of every dimension, over all frames of all that is given."""
    everything = np.concatenate([values for part in (frames, *others) for values in part.values()])
    mean, deviation = everything.mean(0), np.maximum(everything.std(0, ddof=1), FLOOR)
    return [{name: (values - mean) / deviation for name, values in part.items()} for part in (frames, *others)]
