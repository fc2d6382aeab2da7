"""Speech recognition without a language model: two bidirectional LSTMs and CTC on letters, by LibriSpeech."""

from pathlib import Path

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.ctc import text_problem
from espnet2.superb.recurrent import RecurrentRules
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask


class AsrRules(RecurrentRules):
    """s3prl, downstream/asr/config.yaml."""


class SpeechRecognition(TrainedTask):
    """Letters of `text`."""

    name = "asr"
    title = "ASR"
    metrics = (Metric("wer", "WER", False),)
    rules_type = AsrRules
    sizes = Sizes(train=28_539, dev=2_703, test=2_620)  # train-clean-100, dev-clean, test-clean

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, RecurrentRules)
        return [text_problem("", data, "char", self.hearing, sample_rate, rules, rules.head)]
