"""DistilHuBERT: a small model predicts layers of a trained, larger one (Chang et al., 2022, arXiv 2110.01900)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch, NoDraw
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.same_weights import copy_weights
from espnet2.ssl.objective.base import Context, Loss, Objective, Ratio, TaughtConfig, Term
from espnet2.ssl.trained_teacher import TrainedTeacher
from espnet2.utils.errors import UserError


class DistilhubertConfig(TaughtConfig):
    """`conf` of `name: distilhubert`; the defaults are the paper's, for a teacher of twelve layers."""

    teacher_layers: tuple[int, ...] = Field(
        (4, 8, 12), min_length=1, description="1-based, of the teacher: a head predicts each"
    )
    head_dim: int | None = Field(None, gt=0, description="width inside a head; left out: the encoder's")
    cosine_weight: float = Field(1.0, ge=0, description="of -log sigmoid of the cosine, beside the L1 distance")
    student_start: Literal["teacher", "random"] = Field(
        "teacher", description="teacher: its frontend and as many of its first blocks as the student has"
    )


class Distilhubert(Objective):
    """Layer-to-layer distillation: heads on the last layer predict hidden layers of a trained teacher (section 2).

    Nothing is hidden from the student: both hear the same audio. The distance of a frame is the L1 distance divided by
    the width, and -log sigmoid of the cosine; over layers it is the mean, as in the public code (s3prl, distiller), of
    which the heads are too: Linear, GELU, Linear.
    """

    Config = DistilhubertConfig

    def __init__(self, config: DistilhubertConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        self.config = config
        target_dim = config.teacher_dim or encoder.dim
        inner_dim = config.head_dim or encoder.dim
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(encoder.dim, inner_dim), nn.GELU(), nn.Linear(inner_dim, target_dim))
            for _ in config.teacher_layers
        )
        self._teacher: TrainedTeacher | None = None

    @property
    def draw(self) -> NoDraw:
        """Nothing is random."""
        return NoDraw()

    @property
    def teacher(self) -> TrainedTeacher:
        """The model that is learned from.

        Raises:
            TypeError: it was not given: only a training needs it.
        """
        if self._teacher is None:
            raise TypeError(f"loss ({self.context.entry}): the model was not given its teacher")
        return self._teacher

    def take_teacher(self, teacher: TrainedTeacher) -> None:
        """Learn from this model from now on, and start as it where the config says so: see `Objective.take_teacher`."""
        where = f"loss ({self.context.entry}): teacher {teacher.name}"
        ours, theirs = self.frontend.geometry, teacher.frontend.geometry
        for what, unit, student, other in (
            ("sample rate", "Hz", ours.sample_rate, theirs.sample_rate),
            ("frame rate", "frames per second", ours.frame_rate, theirs.frame_rate),
        ):
            if student != other:
                raise UserError(
                    f"{where}: its {what} is {other:g} {unit}, the student's {student:g}: frames cannot be compared; "
                    f"change frontend_conf, or take a teacher of the same {what}"
                )
        num_layers, dim = teacher.encoder.num_layers, teacher.encoder.dim
        for layer in self.config.teacher_layers:
            if not 1 <= layer <= num_layers:
                raise UserError(f"{where}: teacher_layers names layer {layer}, but it has layers 1 to {num_layers}")
        target_dim = self.config.teacher_dim or self.encoder.dim
        if dim != target_dim:
            raise UserError(f"{where}: it is {dim} wide, teacher_dim is {target_dim}; leave teacher_dim out")
        if self.config.student_start == "teacher":
            remedy = "set student_start: random, or build the student of the teacher's widths and no deeper"
            parts = {"frontend": (teacher.frontend, self.frontend), "encoder": (teacher.encoder, self.encoder)}
            copy_weights(parts, f"{where}: student_start", remedy)
        self._teacher = teacher

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Frames that both have, for both distances."""
        count = self._frame_lengths(batch.wav_lengths).sum().double()
        return {"l1": count, "cosine": count} if self.config.cosine_weight > 0 else {"l1": count}

    def _frame_lengths(self, wav_lengths: Tensor) -> Tensor:
        """(batch,) frames that both have: where their windows differ, one of them may have one more at the end."""
        ours: Tensor = self.frontend.geometry.output_lengths(wav_lengths)
        return torch.minimum(ours, self.teacher.frontend.geometry.output_lengths(wav_lengths))

    def forward(self, batch: Batch) -> Loss:
        """Encode, predict, compare with the teacher's layers; sums over the frames that both have."""
        conf = self.config
        frames = self.frontend(batch.wavs, batch.padded_lengths)
        hidden = self.encoder(frames.inputs, frames.lengths).output
        targets = self.teacher.layers(batch.wavs, batch.wav_lengths, conf.teacher_layers)
        num_frames = min(hidden.size(1), targets[0].size(1))
        lengths = self._frame_lengths(batch.wav_lengths)
        valid = torch.arange(num_frames, device=hidden.device) < lengths[:, None]
        count, share = valid.sum(), 1 / len(targets)
        l1 = cosine = hidden.new_zeros((), dtype=torch.float32)
        stats = {}
        for layer, head, whole in zip(conf.teacher_layers, self.heads, targets, strict=True):
            prediction, target = head(hidden[:, :num_frames]).float(), whole[:, :num_frames]
            l1 = l1 + share * (prediction - target).abs().mean(-1).masked_fill(~valid, 0).sum()
            cosines = F.cosine_similarity(prediction, target, dim=-1)
            cosine = cosine - share * F.logsigmoid(cosines).masked_fill(~valid, 0).sum()
            stats[f"cosine_{layer}"] = Ratio(cosines.detach().masked_fill(~valid, 0).sum(), count)
        terms = [Term("l1", l1, count)]
        if conf.cosine_weight > 0:
            terms.append(Term("cosine", cosine, count, conf.cosine_weight))
        deviation = _deviation([whole[:, :num_frames] for whole in targets], valid)
        return Loss(tuple(terms), stats | {"target_deviation": Ratio(deviation, torch.ones_like(deviation))})

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """What the mean of each channel would give as the prediction of all frames."""
        meaning = "the teacher's mean frame in a micro-batch, predicted at all times"
        return (Chance("loss_l1", figures["target_deviation"], meaning, is_estimate=True),)


@torch.no_grad()
def _deviation(targets: Sequence[Tensor], valid: Tensor) -> Tensor:
    """Mean over layers, valid frames and channels of the distance to the channel's mean; scalar."""
    weight = valid[..., None].float()
    count = weight.sum().clamp(min=1)
    parts = []
    for target in targets:
        mean = (target * weight).sum((0, 1)) / count
        parts.append(((target - mean).abs() * weight).sum() / count / target.size(-1))
    return torch.stack(parts).mean()
