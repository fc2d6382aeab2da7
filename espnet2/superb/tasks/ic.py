"""Intent classification: action, object and location of a command, by Fluent Speech Commands."""

from pathlib import Path

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.classes import class_problem
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask


class IcRules(Rules):
    """s3prl, downstream/fluent_commands/config.yaml."""


class IntentClassification(TrainedTask):
    """Three values per line of `labels`, with tabs between them; an utterance is right where all three are."""

    name = "ic"
    title = "IC"
    metrics = (Metric("acc", "Acc", True),)
    rules_type = IcRules
    sizes = Sizes(train=23_132, dev=3_118, test=3_793)  # of its lists

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        return [class_problem("", data, "labels", self.hearing, self.hearing, rules, sample_rate)]
