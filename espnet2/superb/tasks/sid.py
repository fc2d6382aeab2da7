"""Speaker identification: whose an utterance is, by VoxCeleb1 (1251 speakers)."""

from pathlib import Path

from pydantic import Field

from espnet2.superb.audio import Hearing
from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.classes import class_problem
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask


class SidRules(Rules):
    """s3prl, downstream/voxceleb1/config.yaml."""

    batch_size: int = Field(8, gt=0, description="utterances of one forward pass")
    accumulate: int = Field(4, gt=0, description="forward passes of one update")
    max_seconds: float = Field(8.0, ge=0, description="training utterances are cut to so much; 0: never")


class SpeakerIdentification(TrainedTask):
    """Classes in `utt2spk`; every speaker of dev and test is one of train."""

    name = "sid"
    title = "SID"
    metrics = (Metric("acc", "Acc", True),)
    rules_type = SidRules
    sizes = Sizes(train=138_361, dev=6_904, test=8_251)  # of its lists
    notes = ("a long training utterance is cut at one fixed time, not at a new one in every epoch",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, SidRules)
        cut = Hearing(max_seconds=rules.max_seconds)
        return [class_problem("", data, "utt2spk", cut, Hearing(), rules, sample_rate)]
