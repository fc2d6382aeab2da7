"""w2v-BERT: a contrastive task below, naming the code it found above (Chung et al., 2021, arXiv 2108.06209)."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder, forbid_layerdrop
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.lengths import fit_frames
from espnet2.ssl.modules.noise import normal_noise
from espnet2.ssl.modules.position import gather_frames
from espnet2.ssl.objective.base import Context, Loss, Ratio, Term
from espnet2.ssl.objective.wav2vec2 import CURES, WATCH_FROM_UPDATE, Contrast, Wav2Vec2, Wav2Vec2Config
from espnet2.utils.errors import UserError

NOISE_STD = 0.1  # of what stands in place of a masked frame: BEST-RQ, section 3.1, and wenet's w2v-BERT
NOISE_SEED = 0  # of validation: the same noise every time
NO_CODE = -100  # in place of the target of a filled-up row
HIGHEST_ACCURACY = 0.95  # of the masked prediction: w2v-BERT, figure 2, shows a run without contrast go to 1


class W2vBertConfig(Wav2Vec2Config):
    """`conf` of `name: w2v_bert`; the defaults are w2v-BERT XL."""

    contrastive_layers: int = Field(12, gt=0, description="blocks of the contrastive module; the rest predict codes")
    mask_value: Literal["noise", "learned"] = Field(
        "noise", description="noise: in place of a masked feature (paper); learned: a vector after the projection"
    )
    require_same_masks: bool = Field(False, description="as many masked frames in rows of the same length")
    num_groups: int = Field(1, gt=0, description="codebooks")
    num_codes: int = Field(1024, ge=2, description="codes of each codebook")
    code_dim: int = Field(1024, gt=0, description="width of all groups together")
    final_dim: int = Field(768, gt=0, description="width in which cosines are taken (fairseq2)")
    target_groups: int = Field(1, gt=0, description="the first groups, whose codes are predicted")
    target_ids: Literal["sampled", "best"] = Field(
        "sampled", description="predict the code the quantizer drew (public code), or the one with the best score"
    )
    gumbel_temperature_end: float = Field(0.1, gt=0, description="lowest")
    gumbel_temperature_updates: int = Field(599_145, gt=0, description="updates from start to end, in equal ratios")
    dropout_features: float = Field(0.0, ge=0, lt=1, description="of what is quantized")
    features_penalty_weight: float = Field(0.0, ge=0, description="of the mean square of learned features; wenet 0.01")
    contrastive_weight: float = Field(1.0, gt=0, description="of the contrastive task and the diversity (beta)")
    prediction_weight: float = Field(1.0, ge=0, description="of the masked prediction (gamma)")


class W2vBert(Wav2Vec2):
    """wav2vec 2.0's task on block N_c, soft-max over the quantizer's own codes on the top, at the same frames.

    The features of the frontend are quantized without mask. Codes are integers: the prediction sends no gradient to the
    quantizer, but it trains both modules and the frontend.
    """

    Config = W2vBertConfig
    config: W2vBertConfig
    least_code_share = 0.1  # healthy runs are above 0.3, and a small batch cannot show all codes

    def __init__(self, config: W2vBertConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        forbid_layerdrop(encoder, "w2v_bert", f"the contrastive loss reads block {config.contrastive_layers}")
        if config.contrastive_layers >= encoder.num_layers:
            raise UserError(
                f"loss (w2v_bert): contrastive_layers is {config.contrastive_layers}, but the encoder has "
                f"{encoder.num_layers} blocks; expected 1 to {encoder.num_layers - 1}: the rest predict the codes"
            )
        if config.target_groups > config.num_groups:
            raise UserError(
                f"loss (w2v_bert): target_groups is {config.target_groups}, num_groups only {config.num_groups}"
            )
        super().__init__(config, frontend, encoder, context)
        if config.mask_value == "noise":
            self.register_parameter("mask_embedding", None)
        self.code_head = nn.Linear(encoder.dim, config.target_groups * config.num_codes)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Masked frames, for every term."""
        counts = super().counts(batch)
        return {**counts, "masked_prediction": counts["contrastive"]}

    def forward(self, batch: Batch) -> Loss:
        """Hide, encode, compare block N_c with the quantized features, predict their codes from the top."""
        draws = batch.draws[self.context.entry]
        frames, frame_lengths = self.frontend.analyse(batch.wavs, batch.padded_lengths)
        features, lengths = self.frontend.subsample(frames, frame_lengths)
        x = self._hidden_input(features, draws["mask"])
        tap = self.config.contrastive_layers
        hidden = self.encoder(x, lengths, layers=(tap, self.encoder.num_layers))
        contrast = self.contrast(hidden.layers[tap], features, lengths, draws)
        prediction, accuracy = self._prediction(gather_frames(hidden.output, draws["positions"]), contrast)
        beta = self.config.contrastive_weight
        terms = [term._replace(weight=beta * term.weight) for term in contrast.terms]
        return Loss((*terms, prediction), {**contrast.stats, "masked_accuracy": accuracy})

    def _hidden_input(self, features: Tensor, mask: Tensor) -> Tensor:
        """(batch, frames, feature dim), (batch, frames of the draw) -> (batch, frames, encoder dim), masked."""
        num_frames = features.size(1)
        hidden = fit_frames(mask, num_frames, False)[..., None]
        if self.config.mask_value == "learned":
            projected = self.frontend.project(features)
            return torch.where(hidden, self.mask_embedding.to(projected.dtype), projected)
        shape = (*mask.shape, features.size(2))  # of the draw: more padding does not change the noise
        noise = NOISE_STD * normal_noise(shape, features, seed=None if self.training else NOISE_SEED)
        noise = F.pad(noise, (0, 0, 0, num_frames - noise.size(1)))
        return self.frontend.project(torch.where(hidden, noise, features))

    def _prediction(self, hidden: Tensor, contrast: Contrast) -> tuple[Term, Ratio]:
        """Cross-entropy and accuracy over the masked frames; the mean over groups where several are predicted."""
        conf = self.config
        logits = self.code_head(hidden).float().unflatten(-1, (conf.target_groups, conf.num_codes))
        ids = contrast.ids if conf.target_ids == "sampled" else contrast.best_ids
        targets = ids[..., : conf.target_groups].masked_fill(~contrast.valid[..., None], NO_CODE)
        total = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=NO_CODE, reduction="sum")
        count = contrast.valid.sum()
        right = (logits.argmax(-1) == targets).sum()
        return (
            Term("masked_prediction", total / conf.target_groups, count, conf.prediction_weight),
            Ratio(right, count * conf.target_groups),
        )

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """As wav2vec 2.0; and the entropy of the codes of a micro-batch, which the prediction must beat."""
        groups = range(1, self.config.target_groups + 1) if self.config.num_groups > 1 else [None]
        used = [figures["code_perplexity" if group is None else f"code_perplexity_{group}"] for group in groups]
        entropy = sum(math.log(max(perplexity, 1.0)) for perplexity in used) / len(used)
        meaning = "the entropy of the codes in a micro-batch"
        return (*super().chance(figures, labels), Chance("loss_masked_prediction", entropy, meaning))

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """As wav2vec 2.0; and a prediction that is nearly always right."""
        warnings = super().warnings(figures, update)
        if update >= WATCH_FROM_UPDATE and figures["masked_accuracy"] > HIGHEST_ACCURACY:
            warnings.append(
                f"masked_accuracy is {figures['masked_accuracy']:.3f}, healthy is below {HIGHEST_ACCURACY}: "
                f"the codes have become trivial to predict; try {CURES}, or a smaller prediction_weight"
            )
        return warnings
