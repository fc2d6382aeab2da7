"""Speaker diarization: who speaks when in mixtures of two, by Libri2Mix."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import Field

from espnet2.superb.audio import HeardSet, Hearing
from espnet2.superb.base import DEV, TEST, TRAIN, AnyProblem, Example, Metric, Outcome, Setting, set_folder
from espnet2.superb.diarization import DiarizationProblem, read_rttm
from espnet2.superb.listing import pieces_of
from espnet2.superb.metrics.der import Turn
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.trained import TrainedTask
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

BEYOND_SECONDS = 0.1  # that a turn may end behind its audio: times are rounded
FRAME_RATE = 50.0  # where no system is known yet: only checks


class SdRules(Rules):
    """s3prl, downstream/diarization/config.yaml."""

    updates: int = Field(30_000, gt=0, description="optimizer steps")
    batch_size: int = Field(8, gt=0, description="recordings of one forward pass")
    accumulate: int = Field(4, gt=0, description="forward passes of one update")
    eval_every: int = Field(500, gt=0, description="updates between two looks at dev, which chooses the checkpoint")
    num_speakers: int = Field(2, gt=1, le=4, description="of a recording; orders are tried, so that 4 are the most")
    chunk_frames: int = Field(2000, gt=0, description="of which the LSTM sees one after the other")
    lstm_layers: int = Field(1, gt=0, description="LSTMs")
    lstm_width: int = Field(512, gt=0, description="of the LSTM")


class Diarization(TrainedTask):
    """Turns in `rttm`."""

    name = "sd"
    title = "SD"
    metrics = (Metric("der", "DER", False),)
    rules_type = SdRules
    sizes = Sizes(train=13_900, dev=3_000, test=3_000)  # train-100, dev, test
    notes = (
        "DER without a collar, overlaps count; of ten settings of threshold and median filter the lowest on test, as "
        "s3prl reports it",
        "dev chooses by DER; s3prl by the share of right labels",
    )
    frame_rate = FRAME_RATE

    def run(self, data: Path, rules: Rules, setting: Setting) -> Outcome | None:
        geometry = setting.store.extractor.geometry
        self.frame_rate = geometry.frame_rate
        for part in (TRAIN, DEV, TEST):
            heard = HeardSet(data / part, Hearing(), geometry.sample_rate)
            pieces = pieces_of(setting.store, heard, "frames", setting.report)
            seconds = {name: piece.num_samples / geometry.sample_rate for name, piece in pieces.items()}
            _require_inside(data / part / "rttm", read_rttm(data / part / "rttm"), seconds)
        return super().run(data, rules, setting)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, SdRules)
        examples, turns = {}, {}
        for part in (TRAIN, DEV, TEST):
            folder = set_folder(data, part, "rttm")
            turns[part] = read_rttm(folder / "rttm")
            heard = HeardSet(folder, Hearing(), sample_rate)
            names = [item.utt_id for item in heard.items()]
            silent = [name for name in names if name not in turns[part]]
            absent = [name for name in turns[part] if name not in set(names)]
            if silent or absent:
                raise UserError(
                    f"{folder}: {first_names(silent or absent, 3)} {'not in rttm' if silent else 'not in wav.scp'}: "
                    "both have to name the same recordings"
                )
            examples[part] = [
                Example(name, heard, _target(turns[part][name], rules.num_speakers, folder, name)) for name in names
            ]
            if not any(turn.end_seconds > turn.start_seconds for of_one in turns[part].values() for turn in of_one):
                raise UserError(f"{folder}/rttm: nobody speaks in the whole set: a DER needs speech")
        return [
            DiarizationProblem(
                examples[TRAIN],
                examples[DEV],
                examples[TEST],
                turns,
                num_speakers=rules.num_speakers,
                chunk_frames=rules.chunk_frames,
                width=rules.lstm_width,
                num_layers=rules.lstm_layers,
                frame_rate=self.frame_rate,
            )
        ]


def _require_inside(path: Path, turns: Mapping[str, Sequence[Turn]], seconds: Mapping[str, float]) -> None:
    """Raises UserError where a turn ends behind its audio: nobody could hear it, and it would count as missed."""
    for name, of_recording in turns.items():
        end = max(turn.end_seconds for turn in of_recording)
        if end > seconds[name] + BEYOND_SECONDS:
            raise UserError(
                f"{path}: the turns of {name} end at {end:.2f} s, its audio at {seconds[name]:.2f} s: they are "
                "of other audio"
            )


def _target(turns: list[Turn], most: int, folder: Path, name: str) -> torch.Tensor:
    """(turns, 3) speaker, start s, end s.

    Raises:
        UserError: more speakers than the head has outputs.
    """
    speakers = sorted({turn.speaker for turn in turns})
    if len(speakers) > most:
        raise UserError(
            f"{folder}/rttm: {name} has {len(speakers)} speakers, the head is for {most}; "
            "--options sd.num_speakers=<up to 4>, or take the recording out of all tables"
        )
    return torch.tensor([[speakers.index(turn.speaker), turn.start_seconds, turn.end_seconds] for turn in turns])
