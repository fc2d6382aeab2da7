"""wav2vec 2.0: tell a hidden frame's code from those of others (Baevski et al., 2020, arXiv 2006.11477)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch, Draws
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.codebook import perplexity
from espnet2.ssl.modules.contrastive import ContrastiveHead, count_first_is_best
from espnet2.ssl.modules.evaluating import evaluating
from espnet2.ssl.modules.lengths import fit_frames
from espnet2.ssl.modules.negatives import draw_negatives, masked_positions
from espnet2.ssl.modules.penalty import mean_square
from espnet2.ssl.modules.position import gather_frames
from espnet2.ssl.modules.quantizer import GumbelQuantizer, mean_distribution, temperature_at
from espnet2.ssl.modules.span_mask import HubertDraw
from espnet2.ssl.objective.base import Codes, Context, Loss, Objective, Ratio, Term
from espnet2.utils import config

WATCH_FROM_UPDATE = 200  # before, the figures are those of random weights
LEAST_CODES = 1.5  # in effective use: a group that says always the same has 1
LEAST_LOSS = 0.05  # nats: all targets of an utterance are alike, or the task leaks
LEAST_CHANCE = 0.2  # times the accuracy of guessing: scores are all equal or not finite (fairseq issue 3735)
CURES = "a lower lr, more audio per update, a larger diversity_weight, or a slower fall of the Gumbel temperature"


class Wav2Vec2Config(config.Config):
    """`conf` of `name: wav2vec2`; the defaults are wav2vec 2.0 Base."""

    mask_prob: float = Field(0.65, gt=0, le=1, description="expected share of masked frames if spans did not overlap")
    mask_span: int = Field(10, gt=0, description="frames")
    mask_min_spans: int = Field(2, ge=0, description="per utterance")
    require_same_masks: bool = Field(True, description="as many masked frames in rows of the same length")
    num_negatives: int = Field(100, gt=0, description="distractors of each masked frame")
    temperature: float = Field(0.1, gt=0, description="of the cosines")
    num_groups: int = Field(2, gt=0, description="codebooks")
    num_codes: int = Field(320, ge=2, description="codes of each codebook")
    code_dim: int = Field(256, gt=0, description="width of all groups together; Large 768")
    final_dim: int = Field(256, gt=0, description="width in which cosines are taken; Large 768")
    gumbel_temperature_start: float = Field(2.0, gt=0, description="of the choice of codes, at update 0")
    gumbel_temperature_end: float = Field(0.5, gt=0, description="Large 0.1")
    gumbel_temperature_updates: int = Field(
        277_258, gt=0, description="updates from start to end, in equal ratios (0.999995 each); Large 599145"
    )
    dropout_features: float = Field(0.1, ge=0, lt=1, description="of what is quantized; Large 0")
    diversity_weight: float = Field(0.1, ge=0, description="of the unused share of the codes")
    features_penalty_weight: float = Field(10.0, ge=0, description="of the mean square of learned features; Large 0")

    @model_validator(mode="after")
    def _divisible(self) -> "Wav2Vec2Config":
        if self.code_dim % self.num_groups:
            raise ValueError(f"code_dim {self.code_dim} is not a multiple of num_groups {self.num_groups}")
        return self


@dataclass(frozen=True)
class Wav2Vec2Draw(HubertDraw):
    """`mask`: (batch, frames) bool; `positions` and `negatives` of its masked frames: see `modules/negatives.py`."""

    num_negatives: int

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        mask = super().__call__(wav_lengths, utt_ids, generator)["mask"]
        return {
            "mask": mask,
            "positions": masked_positions(mask),
            "negatives": draw_negatives(mask, self.num_negatives, generator),
        }

    def min_samples(self) -> int:
        return self.geometry.num_samples(self.mask_span + self.min_spans + 1)  # the spans leave a frame to see


class Contrast(NamedTuple):
    """What the contrastive task gives for one micro-batch."""

    terms: tuple[Term, ...]
    stats: dict[str, Ratio]
    ids: Tensor  # (batch, masked frames, groups) codes taken
    best_ids: Tensor  # (batch, masked frames, groups) codes of the best scores
    valid: Tensor  # (batch, masked frames) bool: False fills up the rows


class Wav2Vec2(Objective):
    """Contrastive task over the masked frames, diversity of the codes, penalty on the features of the frontend.

    The features are quantized after the frontend's norm and before its projection, without mask.
    The mean over which diversity is taken is that of one micro-batch of one rank, as in fairseq.
    """

    Config = Wav2Vec2Config
    # Of codes in effective use, healthy above: 18 to 26 of 640 is where poor runs sit (fairseq issues 2981, 3391).
    least_code_share: ClassVar[float] = 0.03

    def __init__(self, config: Wav2Vec2Config, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        self.config = config
        self.penalty_weight = config.features_penalty_weight if frontend.learns_features else 0.0
        self.mask_embedding = nn.Parameter(torch.rand(encoder.dim))  # U(0, 1), as fairseq
        self.dropout_features = nn.Dropout(config.dropout_features)
        self.quantizer = GumbelQuantizer(
            frontend.feature_dim, num_groups=config.num_groups, num_codes=config.num_codes, code_dim=config.code_dim
        )
        self.head = ContrastiveHead(encoder.dim, config.code_dim, config.final_dim, config.temperature)
        self.before_update(1)

    @property
    def draw(self) -> Wav2Vec2Draw:
        """Span masks, and distractors for the masked frames."""
        conf = self.config
        masks = (conf.mask_prob, conf.mask_span, conf.mask_min_spans, conf.require_same_masks)
        return Wav2Vec2Draw(self.context.geometry, *masks, conf.num_negatives)

    def before_update(self, update: int) -> None:
        """Set the temperature of the quantizer, a function of `update` alone."""
        conf = self.config
        temperature = temperature_at(
            update,
            start=conf.gumbel_temperature_start,
            end=conf.gumbel_temperature_end,
            num_updates=conf.gumbel_temperature_updates,
        )
        self.quantizer.temperature.fill_(temperature)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Masked frames, for every term: all are means per masked frame."""
        count = (batch.draws[self.context.entry]["positions"] >= 0).sum().double()
        names = ["contrastive", "diversity", *(["features_penalty"] if self.penalty_weight > 0 else [])]
        return dict.fromkeys(names, count)

    def forward(self, batch: Batch) -> Loss:
        """Hide, encode, and compare the masked frames with their quantized features."""
        draws = batch.draws[self.context.entry]
        frames = self.frontend(batch.wavs, batch.padded_lengths)
        inputs = frames.inputs
        mask = fit_frames(draws["mask"], inputs.size(1), False)
        x = torch.where(mask[..., None], self.mask_embedding.to(inputs.dtype), inputs)
        contrast = self.contrast(self.encoder(x, frames.lengths).output, frames.features, frames.lengths, draws)
        return Loss(contrast.terms, contrast.stats)

    def contrast(self, hidden: Tensor, features: Tensor, lengths: Tensor | None, draws: Draws) -> Contrast:
        """The contrastive task between hidden frames and quantized features, both (batch, frames, their width).

        Args:
            lengths: (batch,) valid frames; None where nothing is padded.
        """
        positions = draws["positions"]
        valid, count = positions >= 0, (positions >= 0).sum()
        masked_features = self.dropout_features(self.frontend.norm(gather_frames(features, positions)))
        quantized = self.quantizer(masked_features)
        logits = self.head(gather_frames(hidden, positions), quantized, draws["negatives"])
        cross_entropy = (logits.logsumexp(-1) - logits[..., 0]).masked_fill(~valid, 0)
        # From clean probabilities: with the noise, one code for all would look like many.
        in_use = perplexity(mean_distribution(quantized.logits.softmax(-1), valid))
        unused_share = 1 - in_use.mean() / self.config.num_codes
        terms = [
            Term("contrastive", cross_entropy.sum(), count),
            Term("diversity", unused_share * count, count, self.config.diversity_weight),
        ]
        if self.penalty_weight > 0:
            terms.append(Term("features_penalty", mean_square(features, lengths) * count, count, self.penalty_weight))
        best_ids = quantized.logits.argmax(-1)
        stats = {"contrastive_accuracy": Ratio(count_first_is_best(logits.detach(), valid), count)}
        stats |= self._code_figures(in_use.detach(), best_ids, valid)
        return Contrast(tuple(terms), stats, quantized.ids, best_ids, valid)

    @torch.no_grad()
    def _code_figures(self, in_use: Tensor, best_ids: Tensor, valid: Tensor) -> dict[str, Ratio]:
        """How many codes are used, softly and by the best scores; by group where there are several."""
        used = mean_distribution(F.one_hot(best_ids, self.config.num_codes).float(), valid)
        one, counts = in_use.new_ones(()), (used > 0).float().sum(-1)
        figures = {"gumbel_temperature": self.quantizer.temperature * one}
        for group, suffix in enumerate(self._suffixes()):
            figures[f"soft_perplexity{suffix}"] = in_use[group]
            figures[f"code_perplexity{suffix}"] = perplexity(used)[group]
            figures[f"codes_used{suffix}"] = counts[group]
        return {name: Ratio(value, one) for name, value in figures.items()}

    def _suffixes(self) -> list[str]:
        groups = self.config.num_groups
        return [""] if groups == 1 else [f"_{group}" for group in range(1, groups + 1)]

    @property
    def code_numbers(self) -> tuple[int, ...]:
        """The groups of the quantizer."""
        return tuple(range(1, self.config.num_groups + 1))

    @property
    def num_codes(self) -> int:
        return self.config.num_codes

    @torch.no_grad()
    def codes(self, wavs: Tensor, lengths: Tensor) -> Codes:
        """The code with the best score of every codebook of the quantizer: see `Objective.codes`."""
        with evaluating(self.frontend):
            features, _ = self.frontend.subsample(*self.frontend.analyse(wavs, lengths))
            ids = self.quantizer.score(self.frontend.norm(features)).argmax(-1)
        codes = {book: ids[..., book - 1] for book in self.code_numbers}
        return Codes.of_frames(codes, self.frontend.geometry.output_lengths(lengths))

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """The true code among the distractors, all equally likely."""
        candidates = 1 + self.config.num_negatives
        meaning = f"ln {candidates}: the target and {self.config.num_negatives} distractors"
        task = ("contrastive_accuracy", 1 / candidates, "one in so many candidates")
        return (Chance("loss_contrastive", math.log(candidates), meaning, *task),)

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """Too few codes in use, targets that are all alike, or scores that are all equal."""
        if update < WATCH_FROM_UPDATE:
            return []
        warnings = []
        least = max(LEAST_CODES, self.least_code_share * self.config.num_codes)
        lowest = min((f"code_perplexity{suffix}" for suffix in self._suffixes()), key=figures.__getitem__)
        if figures[lowest] < least:
            warnings.append(
                f"{lowest} is {figures[lowest]:.1f} of {self.config.num_codes} codes, healthy is above {least:.1f}: "
                f"the quantizer is collapsing; try {CURES}"
            )
        if figures["loss_contrastive"] < LEAST_LOSS:
            warnings.append(
                f"loss_contrastive is {figures['loss_contrastive']:.3f} nats, healthy is above {LEAST_LOSS}: "
                f"the targets of an utterance are all alike; try {CURES}"
            )
        least = LEAST_CHANCE / (1 + self.config.num_negatives)
        if figures["contrastive_accuracy"] < least:
            warnings.append(
                f"contrastive_accuracy is {figures['contrastive_accuracy']:.5f}, guessing gives "
                f"{least / LEAST_CHANCE:.5f}: the scores of all candidates are equal; try {CURES}"
            )
        return warnings
