"""Keyword spotting: the word of an utterance, by Speech Commands v1 (12 classes)."""

from pathlib import Path

from pydantic import Field

from espnet2.superb.audio import Hearing
from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.classes import class_problem
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask


class KsRules(Rules):
    """s3prl, downstream/speech_commands/config.yaml."""

    balanced: bool = Field(True, description="training batches have every class equally often")


class KeywordSpotting(TrainedTask):
    """Classes in `labels`, such as yes, _unknown_ and _silence_."""

    name = "ks"
    title = "KS"
    metrics = (Metric("acc", "Acc", True),)
    rules_type = KsRules
    sizes = Sizes(train=51_088, dev=6_798, test=3_081)  # without the pieces of silence that we cut
    hearing = Hearing(gain_db=-3.0)  # s3prl, speech_commands/dataset.py
    notes = ("silence is cut at fixed times, not at new ones in every epoch",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, KsRules)
        balanced = rules.balanced
        return [class_problem("", data, "labels", self.hearing, self.hearing, rules, sample_rate, balanced=balanced)]
