"""HuBERT: name the cluster of hidden frames (Hsu et al., 2021, arXiv 2106.07447, section 2)."""

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch
from espnet2.data.labels.packed import NO_LABEL
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.heads import CosineHead
from espnet2.ssl.modules.lengths import fit_frames
from espnet2.ssl.modules.penalty import mean_square
from espnet2.ssl.modules.span_mask import HubertDraw
from espnet2.ssl.objective.base import Context, LabelledConfig, Loss, Objective, Ratio, Term
from espnet2.utils.errors import UserError

# Signs of a collapse (fairseq #5534: the loss jumps to the labels' own entropy and stays there).
WATCHED_AFTER = 200  # updates: before, all figures jump about
LEARNED_ACCURACY = 0.1  # about what the most frequent of 100 labels gives
KEPT_SHARE = 0.5  # healthy runs keep far more of their best accuracy


class HubertConfig(LabelledConfig):
    """`conf` of `name: hubert`; the defaults are HuBERT Base."""

    mask_prob: float = Field(0.8, gt=0, le=1, description="expected share of masked frames if spans did not overlap")
    mask_span: int = Field(10, gt=0, description="frames")
    mask_min_spans: int = Field(2, ge=0, description="per utterance")
    require_same_masks: bool = Field(True, description="as many masked frames in rows of the same length")
    label_dim: int = Field(256, gt=0, description="width of the label embeddings; Large 768, X-Large 1024")
    temperature: float = Field(0.1, gt=0, description="of the cosines")
    masked_weight: float = Field(1.0, ge=0, description="of the cross-entropy on masked frames")
    unmasked_weight: float = Field(0.0, ge=0, description="of the cross-entropy on the other frames")
    features_penalty_weight: float = Field(10.0, ge=0, description="of the mean square of learned features")


class Hubert(Objective):
    """Masked prediction of labels by cosine similarity, with the penalty on the features of the frontend."""

    Config = HubertConfig
    needs_labels = True
    takes_vector_labels = True

    def __init__(self, config: HubertConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        self.config = config
        if context.num_classes is None:
            raise UserError(f"loss ({context.entry}): needs labels, or conf: num_classes")
        self.penalty_weight = config.features_penalty_weight if frontend.learns_features else 0.0
        self.mask_embedding = nn.Parameter(torch.rand(encoder.dim))  # U(0, 1), as fairseq
        num_scores = context.num_codebooks * context.num_classes
        self.head = CosineHead(encoder.dim, config.label_dim, num_scores, config.temperature)
        self.best_accuracy = 0.0  # of the intervals of this process's log

    @property
    def draw(self) -> HubertDraw:
        """Span masks."""
        conf = self.config
        return HubertDraw(
            self.context.geometry, conf.mask_prob, conf.mask_span, conf.mask_min_spans, conf.require_same_masks
        )

    def _targets(self, batch: Batch, num_frames: int) -> tuple[Tensor, Tensor]:
        """Labels of the masked and of the other frames, NO_LABEL elsewhere: (batch, num_frames) each.

        Of several codebooks, or of soft labels: (batch, num_frames, width).
        """
        mask = fit_frames(batch.draws[self.context.entry]["mask"], num_frames, False)
        labels = fit_frames(batch.labels_of(self.context.labels), num_frames, NO_LABEL)
        mask = mask.view(*mask.shape, *(1,) * (labels.dim() - 2))
        return labels.masked_fill(~mask, NO_LABEL), labels.masked_fill(mask, NO_LABEL)

    def _weights(self, batch: Batch, num_frames: int) -> Tensor | None:
        """(batch, num_frames, width) of soft labels; None where labels are hard."""
        weights = batch.label_weights.get(self.context.labels)
        return None if weights is None else fit_frames(weights, num_frames, 0.0)

    def _scores(self, hidden: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, classes); of codebooks (batch, frames, codebooks, classes)."""
        scores: Tensor = self.head(hidden)
        return scores if self.context.num_codebooks == 1 else scores.unflatten(-1, (self.context.num_codebooks, -1))

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Labelled masked frames, also for the penalty; labelled other frames where they have a weight."""
        masked, unmasked = self._targets(batch, self.context.geometry.output_lengths(batch.wavs.size(1)))
        counts = {"masked": _labelled(masked)}
        if self.config.unmasked_weight > 0:
            counts["unmasked"] = _labelled(unmasked)
        if self.penalty_weight > 0:
            counts["features_penalty"] = _labelled(masked)
        return {name: count.double() for name, count in counts.items()}

    def forward(self, batch: Batch) -> Loss:
        """Hide, encode, score every frame; sums over the frames that have a label."""
        frames = self.frontend(batch.wavs, batch.padded_lengths)
        inputs = frames.inputs
        num_frames = inputs.size(1)
        mask = fit_frames(batch.draws[self.context.entry]["mask"], num_frames, False)
        # Behind the frontend's projection and dropout, as fairseq.
        x = torch.where(mask[..., None], self.mask_embedding.to(inputs.dtype), inputs)
        # All frames are scored: shapes stay fixed, and the head costs about 1 % of an encoder.
        logits = self._scores(self.encoder(x, frames.lengths).output)
        masked, unmasked = self._targets(batch, num_frames)
        weights = self._weights(batch, num_frames)
        count, conf = _labelled(masked), self.config
        terms = [Term("masked", _cross_entropy(logits, masked, weights), count, conf.masked_weight)]
        if conf.unmasked_weight > 0:
            total = _cross_entropy(logits, unmasked, weights)
            terms.append(Term("unmasked", total, _labelled(unmasked), conf.unmasked_weight))
        if self.penalty_weight > 0:
            # The mean of this micro-batch weighs as much as its masked frames: fairseq multiplies it by them, too.
            total = mean_square(frames.features, frames.lengths) * count
            terms.append(Term("features_penalty", total, count, self.penalty_weight))
        prediction = _best_class(logits.detach())
        return Loss(tuple(terms), self.figures(batch, prediction, masked, unmasked))

    def figures(self, batch: Batch, prediction: Tensor, masked: Tensor, unmasked: Tensor) -> dict[str, Ratio]:
        """What is logged of a forward pass, from the (batch, frames) predicted classes and labels."""
        return {"masked_accuracy": accuracy(prediction, masked), "unmasked_accuracy": accuracy(prediction, unmasked)}

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """The entropy of the labels and the share of the most frequent one; without labels at hand ln K."""
        if labels is None:
            num_classes = self.context.num_classes or 1
            return (Chance("loss_masked", math.log(num_classes), f"ln {num_classes}: all classes alike"),)
        return (
            Chance(
                "loss_masked",
                labels.entropy_nats,
                f"the entropy of the labels; ln {labels.num_classes} is {math.log(labels.num_classes):.2f}",
                "masked_accuracy",
                labels.top_share,
                "the share of the most frequent label",
            ),
        )

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """A model that had learned to name masked frames and cannot any more."""
        accuracy, best = figures.get("masked_accuracy", 0.0), self.best_accuracy
        self.best_accuracy = max(best, accuracy)
        if update <= WATCHED_AFTER or best < LEARNED_ACCURACY or accuracy >= KEPT_SHARE * best:
            return []
        return [
            f"masked_accuracy fell from {best:.3f} to {accuracy:.3f}: a healthy run keeps its accuracy or gains; "
            "the model may answer with one class for everything. Usual cures: a lower lr, a longer warm-up or a lower "
            "grad_clip, from a checkpoint before the fall"
        ]


def _labelled(labels: Tensor) -> Tensor:
    """Number of frames that have a label."""
    return ((labels if labels.dim() == 2 else labels[..., 0]) != NO_LABEL).sum()


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Sum over the frames that have a label; of several codebooks, of their mean.

    Args:
        logits: (batch, frames, classes), or (batch, frames, codebooks, classes).
        labels: (batch, frames), or (batch, frames, width).
        weights: (batch, frames, width) of soft labels: the cross-entropy with the distribution that they make.
    """
    if weights is not None:
        chosen = logits.log_softmax(-1).gather(-1, labels.clamp(min=0))
        return -(chosen * weights).masked_fill(labels == NO_LABEL, 0).sum()
    total = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=NO_LABEL, reduction="sum")
    return total if labels.dim() == 2 else total / labels.size(2)


def _best_class(logits: Tensor) -> Tensor:
    """(batch, frames, ..., classes) -> (batch, frames, ...) best class; none if all scores are equal, as fairseq."""
    best, label = logits.max(-1)
    return torch.where(best > logits.amin(-1), label, NO_LABEL - 1)


def accuracy(prediction: Tensor, labels: Tensor) -> Ratio:
    """Share of the labelled frames that are predicted right; of several codebooks, of their labels.

    Args:
        prediction: (batch, frames), or (batch, frames, codebooks).
        labels: as many axes; of soft labels one more, the most probable first.
    """
    if labels.dim() > prediction.dim():
        labels = labels[..., 0]
    right = prediction == labels
    return Ratio(right.sum() if right.dim() == 2 else right.float().mean(-1).sum(), _labelled(labels))
