"""Speaker verification: whether two utterances are of one person, by VoxCeleb1 and its trials."""

from pathlib import Path

import torch
from pydantic import Field

from espnet2.superb.audio import HeardSet, Hearing
from espnet2.superb.base import DEV, TEST, TRAIN, AnyProblem, Example, Metric, set_folder
from espnet2.superb.classes import read_labels
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.speakers import Trial, VerificationProblem
from espnet2.superb.trained import TrainedTask
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import iterate_table

GAIN_DB = -3.0  # s3prl, sv_voxceleb1/dataset.py
KINDS = {"target": True, "nontarget": False}


class AsvRules(Rules):
    """s3prl, downstream/sv_voxceleb1/configs/amsoftmax.yaml."""

    batch_size: int = Field(10, gt=0, description="utterances of one forward pass")
    accumulate: int = Field(5, gt=0, description="forward passes of one update")
    eval_every: int = Field(10_000, gt=0, description="updates between two looks at dev, which chooses the checkpoint")
    optimizer: str = Field("adamw", description="of torch.optim: adam or adamw", pattern="^adamw?$")  # type: ignore[assignment]
    gradient_norm: float = Field(1000.0, gt=0, description="largest; larger gradients are scaled down")
    projection: int = Field(512, gt=0, description="width of the linear layer in front of the head, and of embeddings")
    pooled: int = Field(1500, gt=0, description="values whose mean and deviation over time are taken")
    scale: float = Field(30.0, gt=0, description="of the cosines of AM-softmax")
    margin: float = Field(0.4, ge=0, description="of AM-softmax")
    max_seconds: float = Field(8.0, ge=0, description="training utterances are cut to so much; 0: never")


class SpeakerVerification(TrainedTask):
    """Speakers of train in `utt2spk`; pairs of test, and of dev if there is one, in `trials`."""

    name = "asv"
    title = "ASV"
    metrics = (Metric("eer", "EER", False),)
    rules_type = AsvRules
    sizes = Sizes(train=148_642, test=4_708)  # speakers of dev; files of the cleaned trials
    hearing = Hearing(gain_db=GAIN_DB)
    notes = (
        "pauses are kept; s3prl cuts them out with sox",
        "a long training utterance is cut at one fixed time, not at a new one in every epoch",
    )

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, AsvRules)
        learned = read_labels(data, TRAIN, "utt2spk")
        numbers = {
            speaker: number for number, speaker in enumerate(sorted({row[0] for row in learned.labels.values()}))
        }
        if len(numbers) < 2:
            raise UserError(f"{learned.folder}/utt2spk: one speaker only: nothing to tell apart")
        cut = HeardSet(learned.folder, Hearing(GAIN_DB, rules.max_seconds), sample_rate)
        train = [Example(utt_id, cut, torch.tensor(numbers[row[0]])) for utt_id, row in learned.labels.items()]
        trials = {part: _read_trials(data, part) for part in (DEV, TEST) if part == TEST or (data / DEV).is_dir()}
        sets = {part: _needed(data / part, trials.get(part, []), sample_rate) for part in (DEV, TEST)}
        sizes = {"width": rules.projection, "pooled": rules.pooled, "scale": rules.scale, "margin": rules.margin}
        return [VerificationProblem(train, sets[DEV], sets[TEST], trials, sizes)]


def _needed(folder: Path, trials: list[Trial], sample_rate: int) -> list[Example]:
    """The utterances of the trials; enrolled ones are in wav.scp like all others."""
    heard = HeardSet(folder, Hearing(GAIN_DB), sample_rate)
    return [
        Example(utt_id, heard, torch.tensor(0))
        for utt_id in dict.fromkeys(name for trial in trials for name in (trial.first, trial.second))
    ]


def _read_trials(data: Path, part: str) -> list[Trial]:
    """<data>/<part>/trials: "<number> <utterance> <utterance> target|nontarget".

    Raises:
        UserError: it is missing or malformed, names audio that the set does not have, or has pairs of one kind only.
    """
    folder = set_folder(data, part, "trials")
    known = {item.utt_id for item in HeardSet(folder, Hearing(), 0).items()}
    trials = []
    for number, (_, value) in enumerate(iterate_table(folder / "trials"), 1):
        words = value.split()
        if len(words) != 3 or words[2] not in KINDS:
            raise UserError(
                f"{folder}/trials:{number}: expected '<number> <utterance> <utterance> target|nontarget', got '{value}'"
            )
        absent = [name for name in words[:2] if name not in known]
        if absent:
            raise UserError(f"{folder}/trials:{number}: {absent[0]} has no audio in wav.scp; no trial may be left out")
        trials.append(Trial(words[0], words[1], KINDS[words[2]]))
    if len({trial.is_target for trial in trials}) < 2:
        raise UserError(f"{folder}/trials: {len(trials)} trials of one kind: an EER needs target and nontarget ones")
    return trials
