"""What a task of SUPERB is: its figures, its rules, and what it makes of Kaldi folders."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from espnet2.superb.audio import HeardSet, Hearing
from espnet2.superb.cache import FeatureStore, Form
from espnet2.superb.rules import Rules, Sizes
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file
from espnet2.utils.show import first_names

TRAIN, DEV, TEST = "train", "dev", "test"
Report = Callable[[str], None]


class Metric(NamedTuple):
    """One column of the leaderboard."""

    key: str
    title: str  # as the leaderboard writes it
    higher_is_better: bool
    as_percent: bool = True

    def text(self, value: float) -> str:
        """As the paper prints it.

        >>> Metric("acc", "Acc", True).text(0.963), Metric("mtwv", "MTWV", True, as_percent=False).text(0.0736)
        ('96.30', '0.0736')
        """
        return f"{100 * value:.2f}" if self.as_percent else f"{value:.4f}"


class Example(NamedTuple):
    """An utterance with what is to be told of it."""

    utt_id: str
    heard: HeardSet
    target: Tensor  # int64 or float32; the task says of what shape


class Batch(NamedTuple):
    """A few utterances, padded; of a task that hears means, one frame each."""

    features: Tensor  # (batch, frames, dim) the mix of layers
    lengths: Tensor  # (batch,) valid frames, on the host
    targets: tuple[Tensor, ...]  # of each utterance, on the host


class Order:
    """The training batches: those of update n depend on the seed and n only, so that a stop changes nothing."""

    def __init__(self, num_examples: int, batch_size: int, seed: int) -> None:
        self.num_examples, self.batch_size, self.seed = num_examples, min(batch_size, num_examples), seed

    def batch(self, number: int) -> list[int]:
        """Examples of forward pass `number`, from 0: every epoch all of them once, in an order of its own."""
        per_epoch = self.num_examples // self.batch_size  # what is left over at the end comes in the next epoch
        epoch, position = divmod(number, per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.num_examples)
        return [int(index) for index in order[position * self.batch_size : (position + 1) * self.batch_size]]


Answer = TypeVar("Answer")


class Problem(ABC, Generic[Answer]):
    """One training of a task: examples of three sets, a head, a loss and a score."""

    form: Form = "frames"
    order_type: type[Order] = Order

    def __init__(self, name: str, train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example]) -> None:
        self.name = name  # "" where a task has one training only; else a fold or a language
        self.train, self.dev, self.test = train, dev, test
        self.notes: tuple[str, ...] = ()  # on its data, in sentences: they stand below the table

    def order(self, rules: Rules, seed: int) -> Order:
        """Of the training batches."""
        return Order(len(self.train), rules.batch_size, seed)

    @abstractmethod
    def make_head(self, dim: int) -> nn.Module:
        """What learns, for features of so many values."""

    @abstractmethod
    def loss(self, head: nn.Module, batch: Batch) -> Tensor:
        """() of a training batch."""

    @abstractmethod
    def answer(self, head: nn.Module, batch: Batch) -> Sequence[Answer]:
        """What a head says of each utterance."""

    @abstractmethod
    def score(self, part: str, answers: Mapping[str, Answer]) -> dict[str, float]:
        """Figures of all utterances of a set, by their names; the first is the one that dev chooses by."""

    def examples(self, part: str) -> Sequence[Example]:
        """Of train, dev or test."""
        return {TRAIN: self.train, DEV: self.dev, TEST: self.test}[part]


# One of a task: what its answers are only it knows, who makes them and who scores them.
AnyProblem = Problem[Any]


class Outcome(NamedTuple):
    """What a task found for one system."""

    figures: dict[str, float]  # of the test set, by the keys of the task's metrics
    details: dict[str, object]  # the search, layer weights, figures of dev, ...: JSON


@dataclass(frozen=True)
class Setting:
    """What a task gets besides its data."""

    store: FeatureStore
    system_title: str
    work: Path  # what an interrupted run goes on from
    rates: tuple[float, ...]  # learning rates to try; (): the one of the rules
    seed: int
    device: str
    report: Report
    job: int = 1  # which part of the trainings is made here, from 1
    num_jobs: int = 1
    only_fit: bool = field(default=False)  # an array job: trains, and leaves the test to a later call


class Task(ABC):
    """One row of the list of tasks: the one subclass in superb/tasks/<name>.py."""

    name: ClassVar[str]  # of its file
    title: ClassVar[str]  # in the leaderboard's words
    metrics: ClassVar[tuple[Metric, ...]]
    rules_type: ClassVar[type[Rules]]
    hearing: ClassVar[Hearing] = Hearing()
    notes: ClassVar[tuple[str, ...]] = ()  # where these rules differ from s3prl's code, in sentences
    in_paper: ClassVar[bool] = True  # one of the ten of arXiv 2105.01051
    sizes: ClassVar[Sizes] = Sizes()

    @abstractmethod
    def heard_sets(self, data: Path, rules: Rules, sample_rate: int) -> list[tuple[HeardSet, Form]]:
        """The audio that it needs.

        Raises:
            UserError: a set is missing.
        """

    @abstractmethod
    def check(self, data: Path, rules: Rules, sample_rate: int) -> dict[str, int]:
        """Look at all tables before anything is computed.

        Returns:
            Utterances of each set.

        Raises:
            UserError: what would give a wrong figure, or none.
        """

    def search_seconds(self, store: FeatureStore, num_frames: Mapping[str, float]) -> float | None:
        """A rough estimate of what a task takes that trains nothing; None for those that train.

        Args:
            num_frames: folder of a set -> all its frames.
        """
        return None

    @abstractmethod
    def run(self, data: Path, rules: Rules, setting: Setting) -> Outcome | None:
        """Train and test; None for an array job, which only trains."""

    def data_hash(self, data: Path) -> str:
        """Of all tables below its folder."""
        files = sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith("."))
        return hash_bytes(*(f"{path.relative_to(data)} {hash_file(path)}" for path in files if path.suffix != ".wav"))


def set_folder(data: Path, part: str, *tables: str) -> Path:
    """A set of a task that has these tables.

    Raises:
        UserError: one is missing.
    """
    folder = data / part
    for table in ("wav.scp", *tables):
        if not (folder / table).is_file():
            raise UserError(f"{folder}/{table}: no such file; prepare the corpus first (stage 1), see doc/superb.md")
    return folder


def require_audio(folder: Path, table: str, names: Iterable[str], heard: Iterable[str]) -> None:
    """Every line of a table has audio: what is left out without a word makes another test.

    Raises:
        UserError: some lines have none.
    """
    known = set(heard)
    absent = [name for name in names if name not in known]
    if absent:
        raise UserError(
            f"{folder}/{table}: {first_names(absent, 3)} not in wav.scp: without them it is another set; add their "
            "audio, or take them out of all tables"
        )


def generator_of(seed: int, *words: object) -> torch.Generator:
    """Random numbers that depend on the seed and these words only."""
    digest = hashlib.sha256(repr((seed, *words)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
