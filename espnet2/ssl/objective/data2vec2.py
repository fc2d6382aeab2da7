"""data2vec 2.0: from visible frames, predict a teacher's hidden layers (Baevski et al., 2022, arXiv 2212.07525)."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, field_validator
from torch import Tensor

from espnet2.data.batch import Batch, Draw, Draws
from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder, check_layers, require_keep
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.block_mask import draw_block_mask, visible_indices
from espnet2.ssl.modules.conv_decoder import ConvDecoder
from espnet2.ssl.modules.lengths import fit_frames, valid_frames
from espnet2.ssl.modules.norm import deviation_over_time, normalise_over_time
from espnet2.ssl.modules.run_share import (
    RunShare,
    check_decay,
    check_share,
    check_updates,
    decay_of,
    fixed_updates,
    updates_of,
)
from espnet2.ssl.modules.teacher_schedule import TeacherSchedule
from espnet2.ssl.objective.base import Context, Loss, Objective, Ratio, Term
from espnet2.ssl.teacher import Teacher
from espnet2.utils import config
from espnet2.utils.errors import UserError

NORM_EPSILON = 1e-5  # of the variance over time: torch's instance norm

# The collapse watch: the public recipe stops a run whose targets or predictions vary less than this.
WATCH_AFTER = 200  # updates
LOWEST_TARGET_STD = 0.1
LOWEST_PREDICTION_STD = 0.01
LOWEST_FEATURES_STD = 0.01
CURES = "lower optim_conf lr (7.5e-4 to 5e-4 has cured it), warm up longer, or take more audio per update"


class Data2vec2Config(config.Config):
    """`conf` of `name: data2vec2`; the defaults are data2vec 2.0 Base."""

    num_clones: int = Field(8, gt=0, description="differently masked copies of each clip; Large 12")
    mask_prob: float = Field(0.5, gt=0, lt=1, description="share of masked frames, exact; Large 0.55")
    mask_adjust: float = Field(0.05, ge=0, lt=1, description="added where blocks are counted; Large 0.1")
    mask_span: int = Field(5, gt=0, description="frames of a block")
    num_target_layers: int = Field(8, gt=0, description="top layers whose mean is the target; Large 16")
    decoder_dim: int = Field(384, gt=0, description="channels; Large 768")
    decoder_layers: int = Field(4, gt=0, description="convolutions")
    decoder_kernel: int = Field(7, gt=0, description="frames, odd")
    decoder_groups: int = Field(16, gt=0, description="of each convolution")
    decoder_dropout: float = Field(0.1, ge=0, lt=1, description="of the decoder's input")
    noise_std: float = Field(0.01, ge=0, description="of the noise in place of hidden frames")
    decay_start: float | RunShare = Field(
        0.999,
        description="share of the teacher, 0 to 1, that stays at first, or share of the run it remembers; Large 0.9997",
    )
    decay_end: float | RunShare = Field(0.99999, description="in the end; Large 1")
    decay_steps: int | RunShare = Field(75000, description="updates > 0 from the one to the other; Large 300000")
    teacher_fixed: float = Field(
        0.0, ge=0, le=1, description="first share of the run, 0.3 or 30%, in which the teacher stays as it starts"
    )

    _updates = field_validator("decay_steps", mode="before")(check_updates)
    _decays = field_validator("decay_start", "decay_end", mode="before")(check_decay)
    _share = field_validator("teacher_fixed", mode="before")(check_share)


@dataclass(frozen=True)
class Data2vec2Draw(Draw):
    """`mask`: (batch, clones, frames) bool; `keep`: (batch, clones, visible) int64, their indices, -1 behind the last.

    Masks are drawn after the crop, with exactly floor(mask_prob * frames) masked frames in each row of each clone. (The
    reference masks the uncropped utterance and crops the mask, so that its counts differ between rows.)
    """

    geometry: FrameGeometry
    num_clones: int
    mask_prob: float
    mask_adjust: float
    mask_span: int  # frames

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        lengths = self.geometry.output_lengths(wav_lengths).repeat_interleave(self.num_clones)
        mask = draw_block_mask(
            lengths,
            mask_prob=self.mask_prob,
            mask_adjust=self.mask_adjust,
            mask_span=self.mask_span,
            generator=generator,
        )
        shape = (len(wav_lengths), self.num_clones)
        return {"mask": mask.unflatten(0, shape), "keep": visible_indices(mask, lengths).unflatten(0, shape)}

    def min_samples(self) -> int:
        """A whole block, one frame to hide and one to see."""
        return self.geometry.num_samples(max(self.mask_span, math.ceil(1 / self.mask_prob), 2))


class Data2vec2(Objective):
    """Regression on the mean of a teacher's top feed-forward branches; the student sees only what is not masked."""

    Config = Data2vec2Config
    target_moves = True

    def __init__(self, config: Data2vec2Config, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        self.config = config
        require_keep(encoder, f"loss ({context.entry})")
        if config.num_target_layers > encoder.num_layers:
            raise UserError(
                f"loss ({context.entry}): num_target_layers is {config.num_target_layers}, but the encoder has "
                f"{encoder.num_layers} layers"
            )
        for name, dim in {"decoder_dim": config.decoder_dim, "encoder_conf dim": encoder.dim}.items():
            if dim % config.decoder_groups:
                raise UserError(
                    f"loss ({context.entry}): {name} {dim} is not a multiple of decoder_groups {config.decoder_groups}"
                )
        self.layers = tuple(range(encoder.num_layers - config.num_target_layers + 1, encoder.num_layers + 1))
        check_layers(self.layers, encoder.num_layers, "feed_forward")
        self.decoder = ConvDecoder(
            encoder.dim,
            config.decoder_dim,
            num_layers=config.decoder_layers,
            kernel=config.decoder_kernel,
            groups=config.decoder_groups,
            dropout=config.decoder_dropout,
            noise_std=config.noise_std,
        )
        self.teacher = Teacher(encoder)
        self.max_update: int | None = None
        self.decay: Tensor | None = None  # scalar: of the teacher in the current update, for the log

    @property
    def draw(self) -> Data2vec2Draw:
        """Block masks, several for each clip."""
        conf = self.config
        return Data2vec2Draw(self.context.geometry, conf.num_clones, conf.mask_prob, conf.mask_adjust, conf.mask_span)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Masked frames of all clones."""
        return {"regression": batch.draws[self.context.entry]["mask"].sum().double()}

    def teacher_decay(self, update: int) -> float:
        """Share of the teacher that stays in `update` (1-based); 1: it does not move."""
        return self.schedule().decay(update)

    def set_max_update(self, max_update: int) -> None:
        """What the config writes as a share of the run becomes a number."""
        self.max_update = max_update
        self.schedule()

    def schedule(self) -> TeacherSchedule:
        """Of the teacher, in this run.

        Raises:
            UserError: a share of a run whose length was not told.
        """
        conf, max_update = self.config, self.max_update
        return TeacherSchedule(
            start=decay_of(conf.decay_start, max_update, "decay_start"),
            end=decay_of(conf.decay_end, max_update, "decay_end"),
            num_updates=updates_of(conf.decay_steps, max_update, "decay_steps"),
            fixed_updates=fixed_updates(conf.teacher_fixed, max_update),
        )

    def forward(self, batch: Batch) -> Loss:
        """Let the teacher see each clip once, and the student the visible frames of its clones; fill their gaps."""
        frames = self.frontend(batch.wavs, batch.padded_lengths)
        inputs = frames.inputs
        num_frames = inputs.size(1)
        target, branches = self._target(inputs, frames.lengths)
        draws = batch.draws[self.context.entry]
        mask = fit_frames(draws["mask"].flatten(0, 1), num_frames, False)
        keep = draws["keep"].flatten(0, 1)
        clones = self.config.num_clones
        lengths = None if frames.lengths is None else frames.lengths.repeat_interleave(clones)
        # Masked frames are zero before the positions see them; then only the visible ones go on.
        x = inputs.repeat_interleave(clones, dim=0).masked_fill(mask[..., None], 0)
        encoded = self.encoder(x, lengths, keep=keep).output
        prediction = self.decoder(encoded, keep, num_frames, valid_frames(lengths, num_frames)).float()
        # Over the root of the width, not the width: the public recipe's scale of the loss.
        error = (prediction - target.repeat_interleave(clones, dim=0)).square().sum(-1) / math.sqrt(target.size(-1))
        # A product would carry what is not finite in padding into the sum.
        total = error.masked_fill(~mask, 0).sum()
        stats = self._stats(prediction.detach(), target, mask)
        one = torch.ones_like(stats["target_std"].total)
        stats["teacher_std"] = Ratio(_mean_deviation(branches, frames.lengths), one)
        stats["features_std"] = Ratio(_mean_deviation([frames.features.detach()], frames.lengths), one)
        if self.training and self.decay is not None:
            stats["teacher_decay"] = Ratio(self.decay * one, one)
        return Loss((Term("regression", total, mask.sum()),), stats)

    @torch.no_grad()
    def _target(self, projected: Tensor, lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """(batch, frames, dim) float32, the mean of the normalised branches; and the branches themselves."""
        branches = self.teacher.branches(projected, lengths, self.layers)
        normalised = [normalise_over_time(branch, lengths, eps=NORM_EPSILON) for branch in branches]
        return torch.stack(normalised).mean(0), branches

    @torch.no_grad()
    def _stats(self, prediction: Tensor, target: Tensor, mask: Tensor) -> dict[str, Ratio]:
        """Mean over channels of the standard deviation over the masked frames of all rows, as the public recipe."""
        clones = self.config.num_clones
        weights = {"target_std": mask.unflatten(0, (-1, clones)).sum(1), "prediction_std": mask}
        values = {"target_std": target, "prediction_std": prediction}
        figures = {name: _weighted_deviation(values[name], weight.float()) for name, weight in weights.items()}
        return {name: Ratio(value, torch.ones_like(value)) for name, value in figures.items()}

    def weights_loaded(self, names: Collection[str]) -> None:
        """The teacher starts as the student, unless it has weights of its own."""
        self.teacher.become(self.encoder, loaded=names)

    def before_update(self, update: int) -> None:
        """Note the decay for the log."""
        self.decay = torch.full((), self.teacher_decay(update), device=self.decoder.output.weight.device)

    def after_step(self, update: int) -> None:
        """Move the teacher towards the new student."""
        if (decay := self.teacher_decay(update)) < 1.0:
            self.teacher.follow(self.encoder, decay)

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """The variance of the target, scaled as the loss is: what the mean target would give as the prediction."""
        loss = figures["target_std"] ** 2 * math.sqrt(self.encoder.dim)
        return (Chance("loss_regression", loss, "the variance of the target: its mean, predicted at all times"),)

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """Targets, predictions or features that hardly change over time."""
        if update < WATCH_AFTER:
            return []
        lowest = {
            "target_std": (LOWEST_TARGET_STD, "the teacher says nearly the same at all times"),
            "prediction_std": (LOWEST_PREDICTION_STD, "the model predicts nearly the same at all times"),
            "features_std": (LOWEST_FEATURES_STD, "the frontend gives nearly the same frame at all times"),
        }
        return [
            f"{name} is {figures[name]:.2g}: {meaning}; healthy is above {limit:g}; {CURES}"
            for name, (limit, meaning) in lowest.items()
            if figures[name] < limit
        ]


def _mean_deviation(values: Sequence[Tensor], lengths: Tensor | None) -> Tensor:
    """Mean over tensors, rows and channels of the standard deviation over valid frames."""
    return torch.stack([deviation_over_time(value, lengths).mean() for value in values]).mean()


def _weighted_deviation(x: Tensor, weight: Tensor) -> Tensor:
    """Mean over channels of the standard deviation over all frames: (rows, frames, dim), (rows, frames) weights."""
    x, weight = x.flatten(0, 1), weight.flatten()[:, None]
    count = weight.sum().clamp(min=1)
    mean = (x * weight).sum(0) / count
    return ((x - mean).square() * weight).sum(0).div(count).sqrt().mean()
