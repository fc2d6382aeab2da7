"""BEST-RQ: name the random code of hidden mel frames (Chiu et al., 2022, arXiv 2202.01855)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch, Draw, Draws
from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.codebook import perplexity
from espnet2.ssl.modules.lengths import fit_frames, valid_frames
from espnet2.ssl.modules.masking import draw_start_mask
from espnet2.ssl.modules.random_quantizer import RandomProjectionQuantizer
from espnet2.ssl.modules.subsample import neighbour_frames
from espnet2.ssl.objective.base import Context, Loss, Objective, Ratio, Term
from espnet2.utils import config
from espnet2.utils.errors import UserError

# Label perplexity of 16 minutes of synthetic speech: 29 to 1136 for 64 to 8192 codes with normalised input, 5 to 24
# without. USED_CODES * sqrt(codes) lies between them at every size; a micro-batch shows about a code for every
# FRAMES_PER_CODE frames (measured with 150 to 10,000 frames).
USED_CODES = 1.5
FRAMES_PER_CODE = 4


class BestRqConfig(config.Config):
    """`conf` of `name: best_rq`; the defaults are the paper's."""

    num_codes: int = Field(8192, ge=2, description="of each codebook")
    code_dim: int = Field(16, gt=0, description="width of the codes")
    num_codebooks: int = Field(1, gt=0, description="independent labels per frame, one head each; their losses average")
    quantizer_seed: int = Field(0, ge=0, description="of the random projections and codes; independent of `seed`")
    label_frames: int | None = Field(
        None, gt=0, description="10 ms frames that make a label; left out: as many as from one label to the next"
    )
    label_norm: bool = Field(False, description="scale the frames of a label to zero mean and unit variance together")
    mask_start_prob: float = Field(0.01, gt=0, le=1, description="of a span to start at a 10 ms frame")
    mask_span: int = Field(40, gt=0, description="10 ms frames")
    mask_min_spans: int = Field(1, ge=0, description="whole ones per utterance; the paper has no such rule")
    noise_std: float = Field(0.1, ge=0, description="of the values that replace masked frames")


@dataclass(frozen=True)
class BestRqDraw(Draw):
    """`mask`: (batch, mel frames) bool, True where noise replaces the frame; `noise`: (batch, mel frames, mels).

    Noise is drawn for all frames, so that its shape does not depend on the mask: half as many values as samples.
    """

    geometry: FrameGeometry  # of the mel frames
    num_mels: int
    start_prob: float
    mask_span: int  # mel frames
    min_spans: int
    noise_std: float

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        mask = draw_start_mask(
            self.geometry.output_lengths(wav_lengths),
            start_prob=self.start_prob,
            mask_span=self.mask_span,
            min_spans=self.min_spans,
            generator=generator,
        )
        noise = self.noise_std * torch.randn(*mask.shape, self.num_mels, generator=generator)
        return {"mask": mask, "noise": noise}

    def min_samples(self) -> int:
        return self.geometry.num_samples(self.mask_span + 1)  # one frame to see beside a whole span


class BestRq(Objective):
    """Masked prediction of the labels that a frozen random quantizer gives to the clean mel frames."""

    Config = BestRqConfig

    def __init__(self, config: BestRqConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        self.config = config
        self.windows = frontend.subsample_geometry  # of one encoder frame, in mel frames
        self.label_frames = config.label_frames or self.windows.hop_samples
        self._check()
        self.quantizer = RandomProjectionQuantizer(
            frontend.analysis_dim * self.label_frames,
            code_dim=config.code_dim,
            num_codes=config.num_codes,
            num_codebooks=config.num_codebooks,
            seed=config.quantizer_seed,
            norm=config.label_norm,
        )
        self.head = nn.Linear(encoder.dim, config.num_codebooks * config.num_codes)

    def _check(self) -> None:
        """Raise a UserError where labels would be bad or missing."""
        field, hop = self.windows.receptive_field_samples, self.windows.hop_samples
        if self.frontend.learns_analysis:
            raise UserError(
                "loss (best_rq): labels are made of computed frames, this frontend learns its own; set frontend: fbank"
            )
        if not (self.frontend.analysis_is_normalised or self.config.label_norm):
            raise UserError(
                "loss (best_rq): without normalised frames most codes stay unused; set frontend_conf: mel_norm to "
                "utterance or corpus, or conf: label_norm: true"
            )
        if self.label_frames > field:
            raise UserError(
                f"loss (best_rq): label_frames is {self.label_frames}, but an encoder frame sees {field} mel frames"
            )
        if self.config.mask_span < field + hop - 1:
            raise UserError(
                f"loss (best_rq): mask_span is {self.config.mask_span} mel frames; a frame is predicted if all {field} "
                f"mel frames it sees are masked, and there is one every {hop}: a span needs {field + hop - 1}"
            )

    @property
    def draw(self) -> BestRqDraw:
        """Span masks of mel frames, and the noise that replaces them."""
        conf, frontend = self.config, self.frontend
        masks = (conf.mask_start_prob, conf.mask_span, conf.mask_min_spans, conf.noise_std)
        return BestRqDraw(frontend.analysis_geometry, frontend.analysis_dim, *masks)

    def _predicted(self, mask: Tensor) -> Tensor:
        """(batch, mel frames) -> (batch, frames) bool: all mel frames that an encoder frame sees are masked."""
        field, hop = self.windows.receptive_field_samples, self.windows.hop_samples
        return neighbour_frames(mask[..., None], field, hop).all(-1)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Encoder frames that are predicted."""
        return {"masked": self._predicted(batch.draws[self.context.entry]["mask"]).sum().double()}

    def label(self, frames: Tensor) -> Tensor:
        """Clean frames of the frontend's `analyse` to labels: (batch, mel frames, mels) -> (batch, frames, codebooks).

        Label j is that of the mel frames that begin at the first one encoder frame j sees.
        """
        stacked = neighbour_frames(frames, self.label_frames, self.windows.hop_samples)
        labels: Tensor = self.quantizer(stacked[:, : self.windows.output_lengths(frames.size(1))])
        return labels

    def forward(self, batch: Batch) -> Loss:
        """Label the clean frames, replace the masked ones, encode, score; sums over the predicted frames."""
        frames, lengths = self.frontend.analyse(batch.wavs, batch.padded_lengths)
        labels = self.label(frames)  # before the noise: labels are those of the clean frames
        draws, num_frames = batch.draws[self.context.entry], frames.size(1)
        mask = fit_frames(draws["mask"], num_frames, False)
        noise = F.pad(draws["noise"], (0, 0, 0, num_frames - draws["noise"].size(1)))
        features, lengths = self.frontend.subsample(torch.where(mask[..., None], noise, frames), lengths)
        hidden = self.encoder(self.frontend.project(features), lengths).output
        # All frames are scored: shapes stay fixed, and the head costs little beside an encoder.
        logits = self.head(hidden).unflatten(-1, (self.config.num_codebooks, self.config.num_codes))
        predicted = self._predicted(mask)
        losses = F.cross_entropy(logits.flatten(0, 2).float(), labels.flatten(), reduction="none").view_as(labels)
        total, count = (losses.mean(-1) * predicted).sum(), predicted.sum()
        correct = ((logits.detach().argmax(-1) == labels).float().mean(-1) * predicted).sum()
        stats = {"masked_accuracy": Ratio(correct, count), **self._label_figures(labels, lengths)}
        return Loss((Term("masked", total, count),), stats)

    def _label_figures(self, labels: Tensor, lengths: Tensor | None) -> dict[str, Ratio]:
        """How the labels of this micro-batch are distributed: figures of one codebook, the mean over all."""
        valid = valid_frames(lengths, labels.size(1))
        weight = torch.ones_like(labels, dtype=torch.float32) if valid is None else valid[..., None].expand_as(labels)
        counts = torch.zeros(self.config.num_codebooks, self.config.num_codes, device=labels.device)
        counts.scatter_add_(1, labels.flatten(0, 1).T, weight.flatten(0, 1).T.float())
        num_frames = counts.sum(1, keepdim=True).clamp(min=1)
        used = perplexity(counts / num_frames)
        figures = {
            "unique_codes": (counts > 0).sum(1).float(),
            "label_perplexity": used,
            "label_entropy": used.log(),
            "label_frames": num_frames,
            "top_code_share": counts.amax(1, keepdim=True) / num_frames,
        }
        return {name: Ratio(value.mean(), value.new_ones(())) for name, value in figures.items()}

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """The entropy of the labels, estimated from those of a micro-batch, and the share of the most frequent one."""
        missing = (figures["unique_codes"] - 1) / (2 * max(figures["label_frames"], 1.0))  # nats; Miller 1955
        return (
            Chance(
                "loss_masked",
                figures["label_entropy"] + missing,
                "the entropy of the labels, estimated from a micro-batch",
                "masked_accuracy",
                figures["top_code_share"],
                "the share of the most frequent label in a micro-batch",
                is_estimate=True,
            ),
        )

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """Labels that say little, because few codes are in use; a fact of data and quantizer, from the first update."""
        used, num_frames, num_codes = figures["label_perplexity"], figures["label_frames"], self.config.num_codes
        healthy = USED_CODES * min(num_codes, num_frames / FRAMES_PER_CODE) ** 0.5
        if used >= healthy:
            return []
        return [
            f"label_perplexity is {used:.1f}: few of the {num_codes} codes are in use, the labels say little (healthy: "
            f"above {healthy:.0f} for {num_frames:.0f} frames a micro-batch). Is the input normalised? Set "
            "frontend_conf: mel_norm to utterance, run stage 6 again for corpus, or set conf: label_norm: true"
        ]
