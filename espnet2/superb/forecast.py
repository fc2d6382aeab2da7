"""A rough estimate of the seconds that features and trainings take on this machine."""

import math
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch

from espnet2.superb.audio import HeardSet, Piece
from espnet2.superb.base import AnyProblem, Example, Task
from espnet2.superb.cache import FeatureStore, Form
from espnet2.superb.fit import Trainer
from espnet2.superb.listing import listed
from espnet2.superb.rules import Rules
from espnet2.superb.trained import TrainedTask

TRIAL_SECONDS = 10.0  # of noise through the encoder
TRIAL_UPDATES = 3
TRIAL_UTTERANCES = 10  # of a set whose lengths are not known yet


class Forecast(NamedTuple):
    """Of one system."""

    encode_seconds: float
    fit_seconds: dict[str, float]  # by task
    cache_bytes: float  # that the features of all tasks need

    @property
    def seconds(self) -> float:
        """Altogether, by one process."""
        return self.encode_seconds + sum(self.fit_seconds.values())


class TaskPlan(NamedTuple):
    """A task with its data and rules."""

    task: Task
    data: Path
    rules: Rules


def forecast(store: FeatureStore, plans: Sequence[TaskPlan], num_rates: int, device: str) -> Forecast:
    """From the speed of the encoder on noise, and of a few updates of each head on random features."""
    extractor = store.extractor
    rate = extractor.geometry.sample_rate
    sets: dict[HeardSet, Form] = {}
    for plan in plans:
        for heard, form in plan.task.heard_sets(plan.data, plan.rules, rate):
            sets[heard] = "frames" if "frames" in (form, sets.get(heard)) else "mean"
    lengths = {heard: _lengths(store, heard, form) for heard, form in sets.items()}
    noise = 0.1 * torch.randn(round(TRIAL_SECONDS * rate), generator=torch.Generator().manual_seed(0))
    extractor.extract([noise])
    began = time.monotonic()
    extractor.extract([noise])
    per_second = (time.monotonic() - began) / TRIAL_SECONDS
    due = sum(length.due_seconds for length in lengths.values())
    size = sum(
        length.num_utterances * store.num_bytes(Piece("", 0, round(length.mean_seconds * rate), ""), sets[heard])
        for heard, length in lengths.items()
    )
    fits = {
        plan.task.name: _fit_seconds(plan, store, lengths, num_rates, device)
        for plan in plans
        if isinstance(plan.task, TrainedTask)
    }
    for plan in plans:
        folders = {heard.folder.name: heard for heard, _ in plan.task.heard_sets(plan.data, plan.rules, rate)}
        num_frames = {
            name: lengths[heard].num_utterances * lengths[heard].mean_seconds * extractor.geometry.frame_rate
            for name, heard in folders.items()
        }
        seconds = plan.task.search_seconds(store, num_frames)
        if seconds is not None:
            fits[plan.task.name] = seconds
    return Forecast(per_second * due, fits, size)


class _Length(NamedTuple):
    num_utterances: int
    mean_seconds: float
    due_seconds: float  # of what is not encoded yet


def _lengths(store: FeatureStore, heard: HeardSet, form: Form) -> _Length:
    pieces = listed(store, heard)
    if pieces:
        seconds = [piece.num_samples / heard.sample_rate for piece in pieces.values()]
        due = sum(
            length for piece, length in zip(pieces.values(), seconds, strict=True) if not store.is_kept(piece, form)
        )
        return _Length(len(pieces), fmean(seconds), due)
    count = len(heard.items())
    loaded = islice(heard.load(store.scratch, 0, min(count, TRIAL_UTTERANCES)), TRIAL_UTTERANCES)
    mean = fmean(piece.num_samples / heard.sample_rate for piece, _ in loaded)
    return _Length(count, mean, count * mean)


def _fit_seconds(
    plan: TaskPlan, store: FeatureStore, lengths: dict[HeardSet, _Length], num_rates: int, device: str
) -> float:
    """Of all problems at all rates: as many of the first as there are."""
    assert isinstance(plan.task, TrainedTask)
    extractor = store.extractor
    problems = plan.task.problems(plan.data, plan.rules, extractor.geometry.sample_rate)
    generator = torch.Generator().manual_seed(0)
    problem: AnyProblem = problems[0]

    def read(example: Example) -> torch.Tensor:
        seconds = lengths[example.heard].mean_seconds
        frames = max(2 * example.target.numel() + 20, math.ceil(seconds * extractor.geometry.frame_rate))
        shape = (
            (extractor.num_layers, frames, extractor.dim)
            if problem.form == "frames"
            else (extractor.num_layers, extractor.dim)
        )
        return torch.randn(shape, generator=generator)

    rules = plan.rules.model_copy(update={"updates": TRIAL_UPDATES, "eval_every": 10 * TRIAL_UPDATES})
    trainer = Trainer(
        problem, rules, 1e-4, read, num_layers=extractor.num_layers, dim=extractor.dim, seed=0, device=device
    )
    return trainer.seconds_per_update() * plan.rules.updates * num_rates * len(problems)
