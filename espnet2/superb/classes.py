"""Classification of whole utterances (KS, SID, IC, ER): mean of the frames, linear layer, cross entropy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.superb.audio import HeardSet, Hearing
from espnet2.superb.base import DEV, TEST, TRAIN, Batch, Example, Order, Problem, require_audio, set_folder
from espnet2.superb.rules import Rules
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs
from espnet2.utils.kaldi_table import read_table
from espnet2.utils.show import first_names

NEED = "scores of SUPERB need scikit-learn: pip install 'espnet2-ssl[eval]', or pip install scikit-learn"
Classes = tuple[int, ...]  # one number per slot


class Labelled(NamedTuple):
    """A set with its labels: of each utterance a value per slot, such as action, object and location."""

    folder: Path
    labels: dict[str, tuple[str, ...]]


def read_labels(data: Path, part: str, table: str) -> Labelled:
    """<data>/<part>/<table>: "<utterance> <value>", several values with tabs between them.

    Raises:
        UserError: a table is missing, has not the utterances of wav.scp, or another number of values in a line.
    """
    folder = set_folder(data, part, table)
    labels = {utt_id: tuple(value.split("\t")) for utt_id, value in read_table(folder / table).items()}
    heard = HeardSet(folder, Hearing(), 0).items()
    missing = [item.utt_id for item in heard if item.utt_id not in labels]
    if missing:
        raise UserError(f"{folder}/{table}: no label of {first_names(missing, 3)}; every utterance needs one")
    if not heard:
        raise UserError(f"{folder}/wav.scp is empty; prepare the corpus again (stage 1)")
    require_audio(folder, table, labels, (item.utt_id for item in heard))
    labels = {item.utt_id: labels[item.utt_id] for item in heard}
    width = len(next(iter(labels.values())))
    for utt_id, values in labels.items():
        if len(values) != width or not all(values):
            raise UserError(
                f"{folder}/{table}: {utt_id} has {len(values)} values '{' '.join(values)}'; expected {width}"
            )
    return Labelled(folder, labels)


def class_problem(
    name: str,
    data: Path,
    table: str,
    hearing: Hearing,
    test_hearing: Hearing,
    rules: Rules,
    sample_rate: int,
    *,
    balanced: bool = False,
) -> "ClassProblem":
    """The problem of a folder with train, dev and test.

    Raises:
        UserError: as `read_labels`; one class only, or a class of dev or test that train does not have.
    """
    sets = {part: read_labels(data, part, table) for part in (TRAIN, DEV, TEST)}
    columns = list(zip(*sets[TRAIN].labels.values(), strict=True))
    numbers = [{value: number for number, value in enumerate(sorted(set(column)))} for column in columns]
    if all(len(values) < 2 for values in numbers):
        raise UserError(
            f"{sets[TRAIN].folder}/{table}: only one class ({next(iter(numbers[0]))}): nothing to tell apart"
        )
    examples = {}
    for part, labelled in sets.items():
        heard = HeardSet(labelled.folder, hearing if part == TRAIN else test_hearing, sample_rate)
        examples[part] = [
            Example(utt_id, heard, _target(values, numbers, labelled.folder / table, utt_id))
            for utt_id, values in labelled.labels.items()
        ]
    widths = tuple(len(values) for values in numbers)
    return ClassProblem(name, examples[TRAIN], examples[DEV], examples[TEST], widths, rules, balanced=balanced)


def _target(values: Sequence[str], numbers: Sequence[Mapping[str, int]], table: Path, utt_id: str) -> Tensor:
    for value, known in zip(values, numbers, strict=False):
        if value not in known:
            raise UserError(
                f"{table}: {utt_id} is of class '{value}', which train does not have: no head could tell it"
            )
    if len(values) != len(numbers):
        raise UserError(f"{table}: {utt_id} has {len(values)} values, those of train have {len(numbers)}")
    return torch.tensor([known[value] for value, known in zip(values, numbers, strict=True)])


class MeanHead(nn.Module):
    """Projection, mean over the frames, linear layer: s3prl's UtteranceLevel with MeanPooling.

    Projection and mean commute, so that means of frames give the same as frames, at a fraction of the time.
    """

    def __init__(self, dim: int, projection: int, num_outputs: int) -> None:
        super().__init__()
        self.projection, self.output = nn.Linear(dim, projection), nn.Linear(projection, num_outputs)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, dim), (batch,) on the host -> (batch, outputs) logits."""
        valid = torch.arange(features.size(1), device=features.device) < lengths.to(features.device)[:, None]
        means = (features * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
        logits: Tensor = self.output(self.projection(means))
        return logits


class BalancedOrder(Order):
    """Every class as often as any other, drawn with replacement: s3prl's sampler of keywords."""

    def __init__(self, classes: Sequence[int], batch_size: int, seed: int) -> None:
        super().__init__(len(classes), batch_size, seed)
        counts = Counter(classes)
        weights = np.array([1 / counts[label] for label in classes])
        self.weights = weights / weights.sum()

    def batch(self, number: int) -> list[int]:
        generator = np.random.default_rng((self.seed, number))
        return [int(index) for index in generator.choice(self.num_examples, self.batch_size, p=self.weights)]


class ClassProblem(Problem[Classes]):
    """One class per slot; an utterance is right where all its slots are."""

    form = "mean"

    def __init__(
        self, name: str, train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example],
        widths: tuple[int, ...], rules: Rules, *, balanced: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, train, dev, test)
        self.widths, self.rules, self.balanced = widths, rules, balanced

    def order(self, rules: Rules, seed: int) -> Order:
        if not self.balanced:
            return super().order(rules, seed)
        return BalancedOrder([int(example.target[0]) for example in self.train], rules.batch_size, seed)

    def make_head(self, dim: int) -> nn.Module:
        return MeanHead(dim, self.rules.projection, sum(self.widths))

    def loss(self, head: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy, added over the slots (s3prl, fluent_commands)."""
        slots = head(batch.features, batch.lengths).split(self.widths, dim=1)
        targets = torch.stack(batch.targets).to(batch.features.device)
        losses = [F.cross_entropy(logits, targets[:, slot]) for slot, logits in enumerate(slots)]
        return torch.stack(losses).sum()

    def answer(self, head: nn.Module, batch: Batch) -> Sequence[Classes]:
        slots = head(batch.features, batch.lengths).split(self.widths, dim=1)
        return [tuple(row) for row in torch.stack([logits.argmax(1) for logits in slots], dim=1).tolist()]

    def score(self, part: str, answers: Mapping[str, Classes]) -> dict[str, float]:
        """Accuracy; on dev of balanced classes the mean over classes, which is what s3prl's sampler of dev expects."""
        with needs(NEED):
            from sklearn.metrics import accuracy_score, balanced_accuracy_score
        examples = self.examples(part)
        truths = [" ".join(map(str, example.target.tolist())) for example in examples]
        given = [" ".join(map(str, answers[example.utt_id])) for example in examples]
        function = balanced_accuracy_score if self.balanced and part == DEV else accuracy_score
        return {"acc": float(function(truths, given))}
