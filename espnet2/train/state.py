"""Where a training stands: the few numbers that, with the weights and the optimizer, make a resumed run exact."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypedDict, cast

from espnet2.data.sampler import Cursor
from espnet2.train.config import Criterion
from espnet2.train.identity import Identity


class CursorJson(TypedDict):
    """A `Cursor` in training.json."""

    epoch: int
    position: int
    number: int


class ValidationJson(TypedDict):
    """A `Validation` in training.json."""

    update: int
    train: dict[str, float]
    valid: dict[str, float]


class StateJson(TypedDict):
    """A `TrainState` in training.json."""

    update: int
    cursor: CursorJson
    skipped: int
    skipped_in_row: int
    train_seconds: float
    validations: list[ValidationJson]
    initial: dict[str, float]


class MeterJson(TypedDict):
    """A `Meter` in training.json: name -> [total, count], and the weights of the terms."""

    sums: dict[str, list[float]]
    weights: dict[str, float]


class _Training(TypedDict):
    identity: Identity
    state: StateJson
    since_validation: MeterJson
    num_threads: int


class TrainingJson(_Training, total=False):
    """Contents of training.json."""

    precision: str  # computed in; absent in checkpoints of the time when a CPU knew only fp32


@dataclass(frozen=True)
class Validation:
    """The figures of one validation, and those of training since the one before."""

    update: int
    train: dict[str, float]
    valid: dict[str, float]

    def value(self, criterion: Criterion) -> float | None:
        """The figure a criterion looks at; None if there is none of that name."""
        return (self.train if criterion.dataset == "train" else self.valid).get(criterion.stat)


@dataclass(frozen=True)
class TrainState:
    """Everything the loop counts. The learning rate, the seeds and the data follow from it."""

    update: int = 0  # optimizer steps taken; a skipped update is not one, so it moves no schedule and no teacher
    cursor: Cursor = field(default=Cursor())  # micro-batches consumed, those of skipped updates too
    skipped: int = 0  # updates skipped because they were not finite
    skipped_in_row: int = 0
    train_seconds: float = 0.0  # wall time of all the parts of the run
    validations: tuple[Validation, ...] = field(default=())
    initial: dict[str, float] = field(default_factory=dict)  # of the probe, before the first update

    def to_json(self) -> StateJson:
        """Plain values; the inverse of `from_json`."""
        return cast(StateJson, asdict(self))

    @classmethod
    def from_json(cls, values: StateJson) -> "TrainState":
        """The state that `to_json` described."""
        validations = tuple(Validation(**fields) for fields in values["validations"])
        # Any: an older checkpoint may lack what was added later, which has its default then.
        arguments: dict[str, Any] = {**values, "cursor": Cursor(**values["cursor"]), "validations": validations}
        return cls(**arguments)

    def validated(self, validation: Validation) -> "TrainState":
        """With one more validation."""
        return replace(self, validations=(*self.validations, validation))


def ranking(validations: tuple[Validation, ...], criterion: Criterion) -> list[int]:
    """Updates from the best to the worst by a criterion; the earlier wins a tie; what is not a number is left out."""
    sign = 1.0 if criterion.mode == "min" else -1.0
    scored = [
        (sign * value, validation.update)
        for validation in validations
        if (value := validation.value(criterion)) is not None
    ]
    return [update for _, update in sorted(pair for pair in scored if pair[0] == pair[0])]


def is_stale(validations: tuple[Validation, ...], criterion: Criterion, patience: int | None) -> bool:
    """Whether the last `patience` validations all failed to beat the best before them."""
    if patience is None or len(validations) <= patience:
        return False
    best = ranking(validations, criterion)
    return bool(best) and best[0] not in {validation.update for validation in validations[-patience:]}
