"""Phoneme recognition: a linear layer and CTC, by LibriSpeech train-clean-100 with a lexicon."""

from pathlib import Path

from pydantic import Field
from torch import nn

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.ctc import LinearHead, text_problem
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask


class PrRules(Rules):
    """s3prl, downstream/ctc/libriphone.yaml."""

    updates: int = Field(100_000, gt=0, description="optimizer steps")
    batch_size: int = Field(16, gt=0, description="utterances of one forward pass")
    accumulate: int = Field(2, gt=0, description="forward passes of one update")
    eval_every: int = Field(1000, gt=0, description="updates between two looks at dev, which chooses the checkpoint")
    learning_rate: float = Field(1e-2, gt=0, description="where none is searched")


class PhonemeRecognition(TrainedTask):
    """Phones in `text`, with blanks between."""

    name = "pr"
    title = "PR"
    metrics = (Metric("per", "PER", False),)
    rules_type = PrRules
    sizes = Sizes(train=28_539, dev=2_703, test=2_620)  # train-clean-100, dev-clean, test-clean
    notes = ("no end mark behind a text; s3prl appends one",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        def make(dim: int, num_symbols: int) -> nn.Module:
            return LinearHead(dim, rules.projection, num_symbols)

        return [text_problem("", data, "phn", self.hearing, sample_rate, rules, make)]
