"""Emotion recognition: neutral, happy, sad or angry, by IEMOCAP in five folds."""

from pathlib import Path

from pydantic import Field

from espnet2.superb.base import AnyProblem, Metric
from espnet2.superb.classes import class_problem
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask


class ErRules(Rules):
    """s3prl, downstream/emotion/config.yaml."""

    updates: int = Field(30_000, gt=0, description="optimizer steps")
    batch_size: int = Field(4, gt=0, description="utterances of one forward pass")
    accumulate: int = Field(8, gt=0, description="forward passes of one update")
    eval_every: int = Field(1000, gt=0, description="updates between two looks at dev, which chooses the checkpoint")


class EmotionRecognition(TrainedTask):
    """Folders fold<n>/{train,dev,test} with classes in `labels`; the figure is the mean over the folds."""

    name = "er"
    title = "ER"
    metrics = (Metric("acc", "Acc", True),)
    rules_type = ErRules
    sizes = Sizes(test=5_531)  # all folds
    notes = ("one learning rate is chosen for all folds; dev is drawn by a hash of names, not by torch's generator",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        folds = sorted(path for path in data.glob("fold*") if path.is_dir())
        if not folds:
            return [class_problem("", data, "labels", self.hearing, self.hearing, rules, sample_rate)]
        return [
            class_problem(fold.name, fold, "labels", self.hearing, self.hearing, rules, sample_rate) for fold in folds
        ]
