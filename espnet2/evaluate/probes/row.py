"""A row of eval/probes.json: one task, learned from one layer of one system or from a mix of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from espnet2.evaluate.measure import RowJson
from espnet2.evaluate.part import PartJson


class _Row(RowJson):
    task: str
    spread: dict[str, float]  # of each figure
    layer_weights: list[float]
    num_train: int
    num_valid: int
    majority: float | None
    tested_on: str


class ProbeRowJson(_Row, total=False):
    """`ProbeRow` as the file has it: of a classifier its accuracy, of a recogniser its error rates."""

    accuracy: float
    wer: float
    cer: float
    per: float
    low: float
    high: float
    num_classes: int
    token_type: str
    num_tokens: int
    probe: str


class ProbesJson(PartJson):
    """The content of eval/probes.json."""

    rows: list[ProbeRowJson]


@dataclass(frozen=True)
class TaskFacts:
    """What stands beside the figures in every row of a task."""

    num_train: int  # frames or utterances it is learned on
    num_valid: int  # scored on
    majority: float | None  # what the most frequent class would give; None: no classes
    tested_on: str  # in words
    num_classes: int | None = None
    token_type: str | None = None  # of CTC, as the next two
    num_tokens: int | None = None
    probe: str | None = None  # linear or blstm


@dataclass(frozen=True)
class ProbeRow:
    """The figures of one task."""

    task: str  # phone, speaker, language, ctc
    system: str  # of espnet2.evaluate.systems.KINDS
    title: str
    layer: int | None  # None: the learned mix of all
    seeds: tuple[int, ...]
    facts: TaskFacts
    means: Mapping[str, float]  # over the seeds: accuracy, or error rates
    spreads: Mapping[str, float]  # largest less smallest
    layer_weights: tuple[float, ...]
    bounds: tuple[float, float] | None = None  # lowest and highest of several seeds, where there is one figure

    def as_json(self) -> ProbeRowJson:
        """The row as the file has it."""
        facts = {name: value for name, value in vars(self.facts).items() if value is not None or name == "majority"}
        values: dict[str, object] = {
            "task": self.task, "system": self.system, "title": self.title, "layer": self.layer,
            "seeds": list(self.seeds), "spread": dict(self.spreads), "layer_weights": list(self.layer_weights),
        }  # fmt: skip
        bounds = {} if self.bounds is None else {"low": self.bounds[0], "high": self.bounds[1]}
        return cast(ProbeRowJson, {**values, **facts, **self.means, **bounds})
