"""Language identification of ML-SUPERB: which language an utterance is of."""

from pathlib import Path

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.multilingual import MlRules, language_problem
from espnet2.superb.rules import Rules
from espnet2.superb.trained import TrainedTask


class LidRules(MlRules):
    """ESPnet, egs2/ml_superb/asr1/conf/tuning: one config for all tracks."""


class LanguageIdentification(TrainedTask):
    """Languages in `utt2lang`, read off by CTC with a token for every language, as ML-SUPERB does."""

    name = "lid"
    title = "LID"
    metrics = (Metric("acc", "Acc", True),)
    rules_type = LidRules
    in_paper = False

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, MlRules)
        return [language_problem(data, self.hearing, sample_rate, rules)]
