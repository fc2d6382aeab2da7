"""A problem, features and a learning rate in, the best head on dev out; a stop changes no bit."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypedDict, cast

import torch
from torch import Tensor, nn

from espnet2.evaluate.probes.linear import LayerMix
from espnet2.superb.base import DEV, TRAIN, Answer, Batch, Example, Metric, Problem
from espnet2.superb.rules import Rules
from espnet2.utils.files import atomic_write
from espnet2.utils.progress import Pace

EVAL_FRAMES = 20_000  # of a batch without gradients, padding included
SAVE_SECONDS = 60.0  # between two checkpoints of an unfinished training
Read = Callable[[Example], Tensor]  # (layers, frames, dim) float32, or (layers, dim)
Report = Callable[[str], None]


class Mixed(nn.Module):
    """The layer weights and the head: all that learns."""

    def __init__(self, num_layers: int, head: nn.Module) -> None:
        super().__init__()
        self.mix, self.head = LayerMix(num_layers), head


@dataclass(frozen=True)
class Fitted:
    """A finished training."""

    rate: float
    dev: dict[str, float]  # of the best checkpoint
    best_update: int
    layer_weights: tuple[float, ...]
    is_finite: bool  # a rate may be too large

    def as_json(self) -> dict[str, object]:
        """A line of the search."""
        return {"learning_rate": self.rate, "dev": self.dev, "best_update": self.best_update, "finite": self.is_finite}


class Trainer(Generic[Answer]):
    """One training of one problem at one learning rate."""

    def __init__(
        self, problem: Problem[Answer], rules: Rules, rate: float, read: Read, *, num_layers: int, dim: int, seed: int,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        self.problem, self.rules, self.rate, self.read, self.seed, self.device = (
            problem,
            rules,
            rate,
            read,
            seed,
            device,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = Mixed(num_layers, problem.make_head(dim)).to(device)
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[rules.optimizer]
        self.optimizer: torch.optim.Optimizer = kind(self.model.parameters(), lr=rate)
        self.order = problem.order(rules, seed)
        self.update, self.best_update, self.is_finite = 0, 0, True
        self.best: dict[str, float] = {}
        self.best_state: dict[str, Tensor] = {}

    def fit(self, metric: Metric, checkpoint: Path | None, report: Report, *, dev_part: str = DEV) -> Fitted:
        """Train to the end, from a checkpoint if there is one; the best head stays in `model`.

        Args:
            metric: what dev chooses by.
            checkpoint: where an unfinished training is kept; None: nowhere.
            dev_part: the set that chooses.
        """
        if checkpoint is not None and checkpoint.is_file():
            self._restore(cast(_State, torch.load(checkpoint, map_location=self.device, weights_only=True)))
        pace, saving = Pace(), Pace(SAVE_SECONDS)
        first = self.update
        with ThreadPoolExecutor(1) as pool:
            while self.update < self.rules.updates and self.is_finite:
                self._step(pool)
                if self.update % self.rules.eval_every == 0 or self.update == self.rules.updates:
                    self._look(metric, dev_part)
                if pace.is_due():
                    left = pace.left_seconds(self.update - first, self.rules.updates - first)
                    report(f"{self.update:,} of {self.rules.updates:,} updates, {left:.0f} s left")
                if checkpoint is not None and saving.is_due():
                    _save(checkpoint, self._state())
        if self.best_state:
            self.model.load_state_dict(self.best_state)
        weights = tuple(self.model.mix.weights.detach().cpu().tolist())
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        return Fitted(self.rate, self.best, self.best_update, weights, self.is_finite and bool(self.best_state))

    def seconds_per_update(self) -> float:
        """What an update takes, after one that warms up; the training is of no use afterwards."""
        with ThreadPoolExecutor(1) as pool:
            self._step(pool)
            began = time.monotonic()
            while self.update < self.rules.updates:
                self._step(pool)
        return (time.monotonic() - began) / max(1, self.update - 1)

    def _step(self, pool: ThreadPoolExecutor) -> None:
        """One update; the features of the next forward pass are read meanwhile."""
        self.model.train()
        first = self.update * self.rules.accumulate
        numbers = range(first, first + self.rules.accumulate)
        coming = pool.submit(self._examples, numbers[0])
        # Dropout and augmentation draw from torch's generator: seeded by the update, a stop changes nothing.
        with torch.random.fork_rng(devices=[] if self.device == "cpu" else None):
            torch.manual_seed((self.seed * 1_000_003 + self.update) % (1 << 63))
            for number in numbers:
                examples, features = coming.result()
                if number + 1 < numbers.stop:
                    coming = pool.submit(self._examples, number + 1)
                loss = self.problem.loss(self.model.head, self._batch(examples, features)) / self.rules.accumulate
                loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.rules.gradient_norm)
        if bool(torch.isfinite(norm)):  # s3prl leaves such an update out, too
            self.optimizer.step()
        self.optimizer.zero_grad()
        self.is_finite = all(bool(torch.isfinite(value).all()) for value in self.model.mix.parameters())
        self.update += 1

    def _examples(self, number: int) -> tuple[list[Example], list[Tensor]]:
        examples = [self.problem.examples(TRAIN)[index] for index in self.order.batch(number)]
        return examples, [self.read(example) for example in examples]

    def _batch(self, examples: Sequence[Example], features: Sequence[Tensor]) -> Batch:
        frames = [values if values.dim() == 3 else values[:, None] for values in features]
        lengths = torch.tensor([values.size(1) for values in frames])
        padded = nn.utils.rnn.pad_sequence([values.transpose(0, 1) for values in frames], batch_first=True)
        mixed = self.model.mix(padded.to(self.device).permute(2, 0, 1, 3))
        return Batch(mixed, lengths, tuple(example.target for example in examples))

    def _look(self, metric: Metric, part: str) -> None:
        figures = self.problem.score(part, self.answers(part))
        sign = 1 if metric.higher_is_better else -1
        if not self.best or sign * figures[metric.key] > sign * self.best[metric.key]:
            self.best, self.best_update = figures, self.update
            self.best_state = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    @torch.no_grad()
    def answers(self, part: str) -> Mapping[str, Answer]:
        """Utterance -> what the head says of it."""
        self.model.eval()
        answers: dict[str, Answer] = {}
        window: list[tuple[Example, Tensor]] = []
        for example in self.problem.examples(part):
            window.append((example, self.read(example)))
            if max(features.shape[-2] for _, features in window) * len(window) >= EVAL_FRAMES or len(window) >= 512:
                self._answer(window, answers)
                window = []
        if window:
            self._answer(window, answers)
        return answers

    def _answer(self, window: Sequence[tuple[Example, Tensor]], answers: dict[str, Answer]) -> None:
        examples, features = zip(*window, strict=True)
        given = self.problem.answer(self.model.head, self._batch(examples, features))
        answers.update(zip((example.utt_id for example in examples), given, strict=True))

    def _state(self) -> "_State":
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "update": self.update,
            "best": self.best, "best_update": self.best_update, "best_state": self.best_state,
        }  # fmt: skip

    def _restore(self, state: "_State") -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.update, self.best, self.best_update = state["update"], state["best"], state["best_update"]
        self.best_state = state["best_state"]


AnyTrainer = Trainer[Any]  # of a problem whose answers only it knows


class _State(TypedDict):
    """A checkpoint."""

    model: dict[str, Tensor]
    optimizer: dict[str, object]
    update: int
    best: dict[str, float]
    best_update: int
    best_state: dict[str, Tensor]


def _save(path: Path, state: _State) -> None:
    with atomic_write(path, "wb") as stream:
        torch.save(dict(state), stream)
