"""DinoSR: name the codes that a teacher's layers give to hidden frames (Liu et al., 2023, arXiv 2305.10005)."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder, check_layers, forbid_layerdrop
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.code_figures import CodeFigures
from espnet2.ssl.modules.codebook import OnlineCodebooks
from espnet2.ssl.modules.evaluating import evaluating
from espnet2.ssl.modules.lengths import fit_frames
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
from espnet2.ssl.modules.span_mask import HubertDraw
from espnet2.ssl.modules.teacher_schedule import TeacherSchedule
from espnet2.ssl.objective.base import Codes, Context, Loss, Objective, Ratio, Term
from espnet2.ssl.teacher import Teacher
from espnet2.utils import config
from espnet2.utils.errors import UserError

NORM_EPSILON = 1e-5  # of the variance over time: torch's instance norm

# The collapse watch. Healthy runs of Base have perplexities of 51 at the very start and 141 to 215 later, of 256 codes,
# and a loss above 0.87 nats for each codebook.
WATCH_AFTER = 200  # updates
LOWEST_PERPLEXITY_SHARE = 1 / 10  # of the codes
LOWEST_LOSS_SHARE = 0.08  # of ln(codes): 0.44 nats for 256; the authors saw 0.2 after a collapse
CURES = "lower optim_conf lr, warm up longer, take more audio per update, or start with a teacher decay nearer to 1"


class DinosrConfig(config.Config):
    """`conf` of `name: dinosr`; the defaults are DinoSR Base."""

    mask_prob: float = Field(0.8, gt=0, le=1, description="expected share of masked frames if spans did not overlap")
    mask_span: int = Field(10, gt=0, description="frames")
    mask_min_spans: int = Field(1, ge=0, description="per utterance; SpidR 2")
    require_same_masks: bool = Field(True, description="as many masked frames in rows of the same length")
    num_codebooks: int = Field(8, gt=0, description="one for each of the top layers of the teacher")
    num_codes: int = Field(256, gt=1, description="of each codebook")
    code_decay: float | RunShare = Field(
        0.9, description="share of a code, 0 to 1, that stays when frames move it; or the share of the run it remembers"
    )
    code_init_std: float = Field(1.0, gt=0, description="of the first codes, where frames over time have 1")
    head_input: Literal["last", "same_layer"] = Field(
        "last", description="what a head reads: the student's last layer, or (SpidR) the branch of its codebook's layer"
    )
    decay_schedule: Literal["linear", "exponential"] = Field("linear", description="of the teacher; SpidR exponential")
    decay_start: float | RunShare = Field(
        0.999, description="share of the teacher, 0 to 1, that stays, at first; or the share of the run it remembers"
    )
    decay_end: float | RunShare = Field(0.9999, description="in the end; the exponential schedule ends at 1")
    decay_steps: int | RunShare = Field(
        30000, description="updates > 0; of the exponential schedule its time constant, 20000"
    )
    freeze_teacher_step: int | RunShare = Field(
        200001, description="from this update > 0 on the teacher stays as it is"
    )
    teacher_fixed: float = Field(
        0.0, ge=0, le=1, description="first share of the run, 0.3 or 30%, in which the teacher stays as it starts"
    )
    freeze_frontend: bool = Field(
        True, description="with the teacher its shared input stays too (SpidR; the original means to, but does not)"
    )

    _updates = field_validator("decay_steps", "freeze_teacher_step", mode="before")(check_updates)
    _decays = field_validator("code_decay", "decay_start", "decay_end", mode="before")(check_decay)

    @field_validator("code_decay")
    @classmethod
    def _moving(cls, value: float | str) -> float | str:
        if value == 1:
            raise ValueError("codes that keep all of themselves never move; expected a number below 1")
        return value

    _share = field_validator("teacher_fixed", mode="before")(check_share)


class Dinosr(Objective):
    """Self-distillation with online clustering: cross-entropy on the code ids of the teacher's top layers."""

    Config = DinosrConfig
    target_moves = True

    def __init__(self, config: DinosrConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        self.config = config
        if config.num_codebooks > encoder.num_layers:
            raise UserError(
                f"loss ({context.entry}): num_codebooks is {config.num_codebooks}, but the encoder has "
                f"{encoder.num_layers} layers; each codebook needs a layer of its own"
            )
        first = encoder.num_layers - config.num_codebooks + 1
        self.layers = tuple(range(first, encoder.num_layers + 1))
        check_layers(self.layers, encoder.num_layers, "feed_forward")
        if config.head_input == "same_layer":
            forbid_layerdrop(encoder, context.entry, "a head reads each of the top layers")
        self.mask_embedding = nn.Parameter(torch.rand(encoder.dim))  # U(0, 1), as fairseq
        self.heads = nn.ModuleList(nn.Linear(encoder.dim, config.num_codes) for _ in self.layers)
        self.teacher = Teacher(encoder)
        size = (config.num_codebooks, config.num_codes, encoder.dim)
        self.codebooks = OnlineCodebooks(*size, decay=math.nan, init_std=config.code_init_std)
        self.max_update: int | None = None
        if not isinstance(config.code_decay, str):
            self.codebooks.decay = config.code_decay
        self.decay: Tensor | None = None  # scalar: of the teacher in the current update, for the log

    @property
    def draw(self) -> HubertDraw:
        """Span masks."""
        conf = self.config
        return HubertDraw(
            self.context.geometry, conf.mask_prob, conf.mask_span, conf.mask_min_spans, conf.require_same_masks
        )

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Masked frames."""
        return {"masked": batch.draws[self.context.entry]["mask"].sum().double()}

    def set_max_update(self, max_update: int) -> None:
        """What the config writes as a share of the run becomes a number."""
        self.max_update = max_update
        self.codebooks.decay = decay_of(self.config.code_decay, max_update, "code_decay")
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
            is_exponential=conf.decay_schedule == "exponential",
            fixed_updates=fixed_updates(conf.teacher_fixed, max_update),
            frozen_from=self.frozen_from(),
        )

    def frozen_from(self) -> int:
        """The update from which on the teacher does not move any more."""
        return updates_of(self.config.freeze_teacher_step, self.max_update, "freeze_teacher_step")

    def teacher_decay(self, update: int) -> float:
        """Share of the teacher that stays in `update` (1-based); 1: it does not move."""
        return self.schedule().decay(update)

    def forward(self, batch: Batch) -> Loss:
        """Let the teacher see all and name the codes; hide, encode and predict them."""
        frames = self.frontend(batch.wavs, batch.padded_lengths)
        inputs = frames.inputs
        num_frames = inputs.size(1)
        mask = fit_frames(batch.draws[self.context.entry]["mask"], num_frames, False)
        branches, targets = self._targets(inputs, frames.lengths)
        x = torch.where(mask[..., None], self.mask_embedding.to(inputs.dtype), inputs)
        reads_last = self.config.head_input == "last"
        encoded = self.encoder(x, frames.lengths, layers=None if reads_last else self.layers, branch="feed_forward")
        figures = CodeFigures(mask)
        losses = []
        for number, (layer, target, head) in enumerate(zip(self.layers, targets, self.heads, strict=True)):
            codes = self.codebooks.assign(number, target)
            code_counts = self.codebooks.gather(number, target, codes, mask)
            logits = head(encoded.output if reads_last else encoded.layers[layer]).float()
            losses.append(F.cross_entropy(logits.transpose(1, 2), codes, reduction="none"))
            figures.add(layer, codes, code_counts, logits.detach())
        total = torch.stack(losses).mean(0).masked_fill(~mask, 0).sum()
        if not reads_last:  # replicas wait for a gradient of the last norm too
            total = total + 0.0 * encoded.output.float().sum()
        stats = figures.stats() | self._teacher_stats(branches, targets, frames.lengths)
        return Loss((Term("masked", total, mask.sum()),), stats)

    def _teacher_stats(
        self, branches: Sequence[Tensor], targets: Sequence[Tensor], lengths: Tensor | None
    ) -> dict[str, Ratio]:
        """Standard deviations over time, means over rows, channels and layers; the decay, while it is known."""
        one = targets[0].new_ones(())
        stats = {
            name: Ratio(torch.stack([deviation_over_time(hidden, lengths).mean() for hidden in values]).mean(), one)
            for name, values in {"teacher_std": branches, "target_std": targets}.items()
        }
        if self.training and self.decay is not None:
            stats["teacher_decay"] = Ratio(self.decay * one, one)
        return stats

    @torch.no_grad()
    def _targets(self, projected: Tensor, lengths: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
        """What the teacher says: (batch, frames, dim) of each layer, and the same normalised over time in float32."""
        branches = self.teacher.branches(projected, lengths, self.layers)
        return branches, [normalise_over_time(branch, lengths, eps=NORM_EPSILON) for branch in branches]

    @property
    def code_numbers(self) -> tuple[int, ...]:
        """The layers of the teacher that have a codebook."""
        return self.layers

    @property
    def num_codes(self) -> int:
        return self.config.num_codes

    @torch.no_grad()
    def codes(self, wavs: Tensor, lengths: Tensor) -> Codes:
        """The teacher's nearest code in every layer that has a codebook: see `Objective.codes`."""
        with evaluating(self.frontend):
            frames = self.frontend(wavs, lengths)
        _, targets = self._targets(frames.inputs, frames.lengths)
        codes = {
            layer: self.codebooks.assign(number, target)
            for number, (layer, target) in enumerate(zip(self.layers, targets, strict=True))
        }
        return Codes.of_frames(codes, self.frontend.geometry.output_lengths(lengths))

    def weights_loaded(self, names: Collection[str]) -> None:
        """The teacher starts as the student, unless it has weights of its own."""
        self.teacher.become(self.encoder, loaded=names)

    def before_update(self, update: int) -> None:
        """Forget the frames that a skipped update gathered for the codebooks."""
        self.codebooks.forget()
        self.decay = torch.full((), self.teacher_decay(update), device=self.mask_embedding.device)

    def after_step(self, update: int) -> None:
        """Move the teacher towards the new student, and the codes towards the frames of all micro-batches and ranks."""
        # In either order: the codes move by frames that were gathered with the teacher of before.
        if (decay := self.teacher_decay(update)) < 1.0:
            self.teacher.follow(self.encoder, decay, copied="position")
        self.codebooks.move()

    def frozen_parameters(self, update: int) -> Iterable[nn.Parameter]:
        """The frontend, once the teacher is frozen: else its input would go on changing."""
        frozen = self.config.freeze_frontend and update >= self.frozen_from()
        return self.frontend.parameters() if frozen else ()

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """The entropy of the codes in a micro-batch and the share of the most frequent one: the teacher moves both."""
        entropy = math.log(max(figures["code_perplexity"], 1.0))
        return (
            Chance(
                "loss_masked",
                entropy,
                "the entropy of the teacher's codes in a micro-batch",
                "masked_accuracy",
                figures["top_code_share"],
                "the share of the most frequent code in a micro-batch",
                is_estimate=True,
            ),
        )

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """Few codes in use, a teacher that says the same at all times, or a loss too good to be true."""
        if update < WATCH_AFTER:
            return []
        num_codes, warnings = self.config.num_codes, []
        lowest = max(1.5, LOWEST_PERPLEXITY_SHARE * num_codes)
        if figures["code_perplexity"] < lowest:
            warnings.append(
                f"code_perplexity is {figures['code_perplexity']:.2f} of {num_codes}: the teacher's frames fall on few "
                f"codes, the targets are collapsing; healthy is above {lowest:.1f}, usually a third of the codes and "
                f"more; {CURES}"
            )
        if figures["teacher_std"] < math.sqrt(NORM_EPSILON):
            warnings.append(
                f"teacher_std is {figures['teacher_std']:.2g}: the teacher's output hardly changes over time, the "
                f"targets are noise; healthy is above {math.sqrt(NORM_EPSILON):.1g}; {CURES}"
            )
        if figures["loss_masked"] < LOWEST_LOSS_SHARE * math.log(num_codes):
            warnings.append(
                f"loss_masked is {figures['loss_masked']:.3f}: so easy a target has collapsed; healthy is above "
                f"{LOWEST_LOSS_SHARE * math.log(num_codes):.2f} ({num_codes} codes); {CURES}"
            )
        return warnings
