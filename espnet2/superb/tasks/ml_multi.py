"""Multilingual recognition of ML-SUPERB: one head for all languages."""

from pathlib import Path

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.ctc import text_problem
from espnet2.superb.multilingual import MlRules
from espnet2.superb.rules import Rules
from espnet2.superb.trained import TrainedTask


class MlMultiRules(MlRules):
    """ESPnet, egs2/ml_superb/asr1/conf/tuning: one config for all tracks."""


class MultilingualRecognition(TrainedTask):
    """Letters of all languages in `text`."""

    name = "ml_multi"
    title = "ML-SUPERB multi"
    metrics = (Metric("cer", "CER", False),)
    rules_type = MlMultiRules
    in_paper = False
    notes = ("the twenty few-shot languages are left out",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, MlRules)
        return [text_problem("", data, "char", self.hearing, sample_rate, rules, rules.head)]
