"""HuBERT in one run: labels first, then codes of the model's own layers that are clustered anew as it trains.

Our own design. From HuBERT (Hsu et al., 2021, arXiv 2106.07447, section 2) are the masked prediction and the idea that
the model's own layers make better targets than MFCC; from DinoSR (Liu et al., 2023, arXiv 2305.10005, section 3.2) the
codes that are moving averages of a teacher's frames. That fixed acoustic targets keep an early teacher from collapsing,
and fade out, is the idea of GMM-anchored JEPA (arXiv 2602.09040).
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch
from espnet2.data.labels.packed import NO_LABEL
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder, check_layers
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.codebook import OnlineCodebooks, perplexity
from espnet2.ssl.modules.evaluating import evaluating
from espnet2.ssl.modules.lengths import fit_frames
from espnet2.ssl.modules.penalty import mean_square
from espnet2.ssl.objective.base import Codes, Context, Loss, Ratio, Term
from espnet2.ssl.objective.hubert import Hubert, HubertConfig, accuracy
from espnet2.ssl.teacher import Teacher
from espnet2.utils.errors import UserError

# So few frames count as none: a code of which the first frame is then as good as the mean.
NO_FRAMES = 1e-4
# The collapse watch, of the codes' perplexity: DinoSR's, whose healthy runs keep a third of the codes and more in use.
WATCHED_AFTER = 200  # updates of own codes
LOWEST_PERPLEXITY_SHARE = 1 / 10  # of the codes
CURES = "a longer anchor_updates, a teacher_decay nearer to 1, fewer codes_per_label, more audio per update"


class OnlineHubertConfig(HubertConfig):
    """`conf` of `name: online_hubert`; the defaults are HuBERT Base with the length of its first iteration."""

    target_layers: tuple[int, ...] = Field(
        (6,), min_length=1, description="1-based, of the teacher; several are put side by side"
    )
    codes_per_label: int = Field(5, gt=0, description="own codes into which each label is split")
    anchor_updates: int = Field(250_000, ge=0, description="first updates, which train on the labels alone")
    mix_updates: int = Field(50_000, gt=0, description="then so many, over which the own codes replace the labels")
    teacher_decay: float = Field(0.9999, ge=0, le=1, description="share of the teacher that stays in each update")
    freeze_teacher_step: int | None = Field(None, gt=0, description="from this update on teacher and codes stay")
    code_decay: float = Field(0.99, ge=0, lt=1, description="share of a code that stays when frames move it")
    code_temperature: float = Field(
        0.0, ge=0, description="of soft targets, on squared distances per channel; 0: the nearest code alone"
    )


class OnlineHubert(Hubert):
    """Masked prediction of labels, which the codes of a teacher's layers replace in the course of the run.

    Every label is split into `codes_per_label` codes, all of which one head predicts. The label's own probability is
    the sum over its codes, so that nothing of the head is lost when the targets change.

    * Up to `anchor_updates` the loss is HuBERT's. The teacher follows, and the codes of a label are means over those of
      its frames that fall to them in turn: all lie near the label's centre, with the noise of the sample between them.
    * Then every frame falls to its nearest code, whatever its label: k-means goes on, a step in every update. Over
      `mix_updates` the loss goes over from -log p(label) to -log p(code).
    """

    Config = OnlineHubertConfig
    target_moves = True
    takes_vector_labels = False
    own_share: Tensor  # scalar float64

    def __init__(self, config: OnlineHubertConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        num_labels = context.num_classes or 0
        num_codes = num_labels * config.codes_per_label
        super().__init__(config, frontend, encoder, replace(context, num_classes=num_codes or None))
        if config.unmasked_weight > 0:
            raise UserError(f"loss ({context.entry}): unmasked_weight is HuBERT's alone; leave it at 0")
        check_layers(config.target_layers, encoder.num_layers, None)
        if min(config.target_layers) < 1:
            raise UserError(f"loss ({context.entry}): target_layers begin at 1, the first block")
        self.config: OnlineHubertConfig = config
        self.context = context
        self.num_labels = num_labels
        self.teacher = Teacher(encoder)
        dim = encoder.dim * len(config.target_layers)
        self.codebooks = OnlineCodebooks(1, num_codes, dim, decay=config.code_decay, init_std=0.0)
        self.codebooks.counts.fill_(NO_FRAMES)
        # Of the codes in the loss, set before each update; a model that is not in training has learned them all. A
        # tensor, for a compiled graph would be made anew for each number; float64, as the counts that it meets.
        self.register_buffer("own_share", torch.ones((), dtype=torch.float64), persistent=False)

    def share_of_codes(self, update: int) -> float:
        """Weight of the codes in the loss of `update` (1-based); that of the labels is the rest."""
        conf = self.config
        return min(max((update - conf.anchor_updates) / conf.mix_updates, 0.0), 1.0)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Labelled masked frames: of the labels, of the codes, and for the penalty."""
        counts = super().counts(batch)
        masked = counts.pop("masked")
        return {"labels": masked, "codes": masked, **counts}

    def forward(self, batch: Batch) -> Loss:
        """Let the teacher see all and name the codes; hide, encode, score; sums over the frames that have a label."""
        frames = self.frontend(batch.wavs, batch.padded_lengths)
        inputs = frames.inputs
        num_frames = inputs.size(1)
        mask = fit_frames(batch.draws[self.context.entry]["mask"], num_frames, False)
        x = torch.where(mask[..., None], self.mask_embedding.to(inputs.dtype), inputs)
        logits = self.head(self.encoder(x, frames.lengths).output)
        masked, unmasked = self._targets(batch, num_frames)
        labels = torch.where(mask, masked, unmasked)
        targets = self._teacher_frames(inputs, frames.lengths)
        distances = self.codebooks.distances(0, targets)
        codes = self._codes(distances, labels)
        code_counts = self.codebooks.gather(0, targets, codes, labels != NO_LABEL)
        chosen = masked != NO_LABEL
        count, conf, share = chosen.sum(), self.config, self.own_share
        scores = logits.log_softmax(-1)
        of_labels = scores.unflatten(-1, (self.num_labels, conf.codes_per_label)).logsumexp(-1)
        of_labels_total = F.nll_loss(of_labels.transpose(1, 2), masked, ignore_index=NO_LABEL, reduction="sum")
        terms = [
            Term("labels", of_labels_total, count, conf.masked_weight * (1 - share)),
            Term("codes", self._code_loss(scores, codes, distances, chosen), count, conf.masked_weight * share),
        ]
        if self.penalty_weight > 0:
            total = mean_square(frames.features, frames.lengths) * count
            terms.append(Term("features_penalty", total, count, self.penalty_weight))
        return Loss(tuple(terms), self._stats(scores.detach(), of_labels.detach(), codes, code_counts, labels, masked))

    @torch.no_grad()
    def _teacher_frames(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, frames, layers * dim) float32: the layers side by side, each frame of each without mean and scale."""
        layers = self.teacher.layers(inputs, lengths, self.config.target_layers)
        return torch.cat([F.layer_norm(layer.float(), layer.shape[-1:]) for layer in layers], dim=-1)

    def _codes(self, distances: Tensor, labels: Tensor) -> Tensor:
        """(batch, frames) the code of every frame: one of its label's in turn, or later the nearest."""
        per_label = self.config.codes_per_label
        turn = torch.arange(labels.size(1), device=labels.device) % per_label
        is_anchored = (self.own_share == 0) & (labels != NO_LABEL)
        return torch.where(is_anchored, labels * per_label + turn, distances.argmin(-1))

    def _code_loss(self, scores: Tensor, codes: Tensor, distances: Tensor, chosen: Tensor) -> Tensor:
        """Cross-entropy with the codes, hard or soft, summed over the chosen frames."""
        if self.config.code_temperature == 0:
            total = F.nll_loss(scores.transpose(1, 2), codes, reduction="none")
        else:
            scale = self.config.code_temperature * self.codebooks.sums.size(-1)
            total = -(torch.softmax(-distances / scale, dim=-1) * scores).sum(-1)
        return total.masked_fill(~chosen, 0).sum()

    @torch.no_grad()
    def _stats(
        self, scores: Tensor, of_labels: Tensor, codes: Tensor, code_counts: Tensor, labels: Tensor, masked: Tensor
    ) -> dict[str, Ratio]:
        """Accuracies of masked frames; which codes all frames fall to."""
        one = torch.ones_like(code_counts[0])
        shares = code_counts / code_counts.sum().clamp(min=1)
        masked_codes = codes.masked_fill(masked == NO_LABEL, NO_LABEL)
        return {
            "masked_accuracy": accuracy(of_labels.argmax(-1), masked),
            "code_accuracy": accuracy(scores.argmax(-1), masked_codes),
            "code_is_of_label": accuracy(codes // self.config.codes_per_label, labels),
            "code_perplexity": Ratio(perplexity(shares), one),
            "codes_used": Ratio((code_counts > 0).sum(), one),
            "top_code_share": Ratio(shares.max(), one),
            "own_share": Ratio(one * self.own_share, one),
        }

    @property
    def code_numbers(self) -> tuple[int, ...]:
        """One codebook."""
        return (1,)

    @property
    def num_codes(self) -> int:
        return self.codebooks.num_codes

    @torch.no_grad()
    def codes(self, wavs: Tensor, lengths: Tensor) -> Codes:
        """The code nearest to the teacher's layers: see `Objective.codes`."""
        with evaluating(self.frontend):
            frames = self.frontend(wavs, lengths)
        nearest = self.codebooks.assign(0, self._teacher_frames(frames.inputs, frames.lengths))
        return Codes.of_frames({1: nearest}, self.frontend.geometry.output_lengths(lengths))

    def weights_loaded(self, names: Collection[str]) -> None:
        """The teacher starts as the student, unless it has weights of its own."""
        self.teacher.become(self.encoder, loaded=names)

    def before_update(self, update: int) -> None:
        """Forget the frames that a skipped update gathered; set how much the codes count."""
        self.codebooks.forget()
        self.own_share.fill_(self.share_of_codes(update))

    def after_step(self, update: int) -> None:
        """Move the teacher towards the new student, and the codes towards the frames of all micro-batches and ranks."""
        frozen = self.config.freeze_teacher_step
        if frozen is not None and update >= frozen:
            return
        if self.config.teacher_decay < 1.0:
            self.teacher.follow(self.encoder, self.config.teacher_decay)
        self.codebooks.move()

    def frozen_parameters(self, update: int) -> Iterable[nn.Parameter]:
        """The frontend, once the teacher is frozen: else its input would go on changing."""
        frozen = self.config.freeze_teacher_step
        return self.frontend.parameters() if frozen is not None and update >= frozen else ()

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """HuBERT's of the labels and DinoSR's of the codes: of those that count in the loss now."""
        tasks = []
        if figures["own_share"] < 1:
            entropy, top = (labels.entropy_nats, labels.top_share) if labels else (math.log(self.num_labels), 0.0)
            meaning = "the entropy of the labels" if labels else f"ln {self.num_labels}: all labels alike"
            top_meaning = "the share of the most frequent label"
            tasks.append(Chance("loss_labels", entropy, meaning, "masked_accuracy", top, top_meaning))
        if figures["own_share"] > 0:
            entropy, top = math.log(max(figures["code_perplexity"], 1.0)), figures["top_code_share"]
            meaning, top_meaning = (
                "the entropy of the codes in a micro-batch",
                "the share of the most frequent code there",
            )
            tasks.append(Chance("loss_codes", entropy, meaning, "code_accuracy", top, top_meaning, is_estimate=True))
        return tuple(tasks)

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """HuBERT's while the labels are the target; then few codes in use."""
        if self.share_of_codes(update) == 0:
            return super().warnings(figures, update)
        lowest = max(1.5, LOWEST_PERPLEXITY_SHARE * self.num_codes)
        if update < self.config.anchor_updates + WATCHED_AFTER or figures["code_perplexity"] >= lowest:
            return []
        return [
            f"code_perplexity is {figures['code_perplexity']:.2f} of {self.num_codes}: the teacher's frames fall on "
            f"few codes, the targets are collapsing; healthy is above {lowest:.1f}. Usual cures: {CURES}"
        ]
