"""Monolingual recognition of ML-SUPERB: one head per language, the mean of their error rates."""

from pathlib import Path

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.ctc import text_problem
from espnet2.superb.multilingual import MlRules, languages_of
from espnet2.superb.rules import Rules
from espnet2.superb.trained import TrainedTask


class MlMonoRules(MlRules):
    """ESPnet, egs2/ml_superb/asr1/conf/tuning: one config for all tracks."""


class MonolingualRecognition(TrainedTask):
    """Folders <language>/{train,dev,test} with letters in `text`."""

    name = "ml_mono"
    title = "ML-SUPERB mono"
    metrics = (Metric("cer", "CER", False),)
    rules_type = MlMonoRules
    in_paper = False
    notes = ("CER of letters for every language; ML-SUPERB counts phones of Japanese and Mandarin",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, MlRules)
        return [
            text_problem(folder.name, folder, "char", self.hearing, sample_rate, rules, rules.head)
            for folder in languages_of(data)
        ]
