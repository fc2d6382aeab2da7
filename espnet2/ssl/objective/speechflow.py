"""SpeechFlow: carry noise to the mel spectrogram, given parts of it (Liu et al., 2024, arXiv 2310.16338)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch, Draw, Draws
from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder, Hidden
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.flow import TimeToken, draw_condition_mask, path_point
from espnet2.ssl.modules.lengths import fit_frames, valid_frames, zero_padding
from espnet2.ssl.objective.base import Context, Loss, Objective, Ratio, Term
from espnet2.utils import config
from espnet2.utils.errors import UserError

NUM_DECILES = 10  # bins of time in the log
HEAD_INIT_STD = 0.01  # of the first velocities: so near zero that the loss starts at 2, yet gradient flows below
EXTRACT_SEED = 0  # the same noise for every utterance
RANDN_BLOCK = 16  # torch.randn on a CPU draws alike for any length that is a multiple of it

# The collapse watch. A model that outputs nothing has a loss of E[x1^2] + 1 = 2 with a mel of unit power.
MEL_POWER = (0.5, 2.0)
UNTRAINED_ERROR = 1.9
VISIBLE_SHARE = 0.9  # of the error on hidden frames: 1 with a dead condition path, 0.6 after minutes with a living one
FLAT_CURVE = 0.1  # spread of the deciles over their mean


class SpeechFlowConfig(config.Config):
    """`conf` of `name: speechflow`; the defaults are the paper's where it is known (methods as Voicebox)."""

    sigma_min: float = Field(1e-5, ge=0, lt=1, description="noise left at time 1 (Voicebox, section 3.1)")
    condition_prob: float = Field(0.9, ge=0, le=1, description="probability that anything of the mel is shown")
    hidden_share: tuple[float, float] = Field((0.7, 1.0), description="bounds of the share of frames hidden")
    mask_span: int = Field(10, gt=0, description="frames; the shortest run of hidden frames")
    loss_region: Literal["all", "masked"] = Field("all", description="frames that count; Voicebox: masked")
    time_scale: float = Field(1000.0, gt=0, description="factor on the time before its sinusoids")
    time_mlp: bool = Field(False, description="two linear layers after the sinusoids")
    extract_time: float = Field(1.0, ge=0, le=1, description="time at which features are extracted; 1: no noise")
    extract_condition: Literal["clean", "none"] = Field(
        "clean", description="what is shown: all of the mel, or nothing"
    )
    watch_after: int = Field(5000, ge=0, description="updates before the collapse watch judges the errors")

    @model_validator(mode="after")
    def _ordered(self) -> "SpeechFlowConfig":
        low, high = self.hidden_share
        if not 0 <= low <= high <= 1:
            raise ValueError(f"hidden_share {low:g}, {high:g}: expected 0 <= low <= high <= 1")
        return self


@dataclass(frozen=True)
class SpeechFlowDraw(Draw):
    """`time`: (batch,); `noise`: (batch, frames, mels); `hidden`: (batch, frames) bool; `dropped`: (batch,) bool.

    The noise takes half the memory of the waveform at 100 frames of 80 values per second. Drawn here, it is the same
    on any device and in every validation.
    """

    geometry: FrameGeometry
    num_mels: int
    condition_prob: float
    hidden_share: tuple[float, float]
    mask_span: int  # frames

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        lengths = self.geometry.output_lengths(wav_lengths)
        low, high = self.hidden_share
        hidden = draw_condition_mask(lengths, low=low, high=high, span=self.mask_span, generator=generator)
        dropped = torch.rand(len(lengths), generator=generator, dtype=torch.float64) >= self.condition_prob
        valid = torch.arange(hidden.size(1)) < lengths[:, None]
        return {
            "time": torch.rand(len(lengths), generator=generator),
            "noise": torch.randn(len(lengths), hidden.size(1), self.num_mels, generator=generator),
            "hidden": torch.where(dropped[:, None], valid, hidden),
            "dropped": dropped,
        }

    def min_samples(self) -> int:
        return self.geometry.num_samples(self.mask_span)


class SpeechFlow(Objective):
    """Conditional flow matching on log-mel frames; the mean square error of the velocity."""

    Config = SpeechFlowConfig
    projects_features = True

    def __init__(self, config: SpeechFlowConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(frontend, encoder, context)
        _check_frontend(frontend)
        self.config = config
        self.num_mels = frontend.analysis_dim
        self.input_projection = nn.Linear(2 * self.num_mels, encoder.dim)  # of the noisy, then of the shown frame
        self.time_token = TimeToken(encoder.dim, scale=config.time_scale, mlp=config.time_mlp)
        self.head = nn.Linear(encoder.dim, self.num_mels)  # the norm before it is the encoder's last
        nn.init.normal_(self.head.weight, std=HEAD_INIT_STD / math.sqrt(encoder.dim))
        nn.init.zeros_(self.head.bias)

    @property
    def draw(self) -> SpeechFlowDraw:
        """Times, noise and what is hidden."""
        conf = self.config
        return SpeechFlowDraw(
            self.context.geometry, self.num_mels, conf.condition_prob, conf.hidden_share, conf.mask_span
        )

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Valid frames, or hidden ones."""
        if self.config.loss_region == "masked":
            return {"flow": batch.draws[self.context.entry]["hidden"].sum().double()}
        return {"flow": self.context.geometry.output_lengths(batch.wav_lengths).sum().double()}

    def velocity(self, noisy: Tensor, shown: Tensor, time: Tensor, lengths: Tensor | None) -> Tensor:
        """What the model believes dx/dt to be.

        Args:
            noisy: (batch, frames, mels): x_t.
            shown: (batch, frames, mels): the clean mel, zero where it is hidden.
            time: (batch,).
            lengths: (batch,) valid frames, or None.

        Returns:
            (batch, frames, mels) float32.
        """
        guess: Tensor = self.head(self._encode(noisy, shown, time, lengths).output)
        return guess.float()

    def _encode(
        self,
        noisy: Tensor,
        shown: Tensor,
        time: Tensor,
        lengths: Tensor | None,
        *,
        layers: Sequence[int] | None = None,
        branch: str | None = None,
    ) -> Hidden:
        """The encoder's output without the time token."""
        x = self.input_projection(torch.cat([noisy, shown], dim=-1))
        last, outputs = self.encoder(x, lengths, prefix=self.time_token(time), layers=layers, branch=branch)
        return Hidden(
            None if last is None else last[:, 1:], {layer: hidden[:, 1:] for layer, hidden in outputs.items()}
        )

    def forward(self, batch: Batch) -> Loss:
        """Go to a random point of the path, guess the velocity there; sums over frames of the mean over mels."""
        mel, lengths = self.frontend.analyse(batch.wavs, batch.padded_lengths)
        num_frames = mel.size(1)
        valid = valid_frames(lengths, num_frames)
        draws = batch.draws[self.context.entry]
        hidden, dropped = fit_frames(draws["hidden"], num_frames, False), draws["dropped"]
        noise = F.pad(draws["noise"], (0, 0, 0, num_frames - draws["noise"].size(1)))
        mel, noise = zero_padding(mel, valid), zero_padding(noise, valid)
        valid = torch.ones_like(hidden) if valid is None else valid
        point = path_point(mel, noise, draws["time"], self.config.sigma_min)
        shown = mel.masked_fill(hidden[..., None], 0)  # the clean mel: conditioning on x_t would teach no infilling
        error = _square_error(self.velocity(point.noisy, shown, draws["time"], lengths), point.velocity)
        region = hidden if self.config.loss_region == "masked" else valid
        term = Term("flow", error.masked_fill(~region, 0).sum(), region.sum())
        error, seen = error.detach(), dropped.logical_not()[:, None]
        stats = {
            "hidden_error": _mean(error, hidden & seen),
            "visible_error": _mean(error, valid & ~hidden),
            "dropped_error": _mean(error, valid & ~seen),
            "mel_power": _mean(mel.square().mean(-1), valid),
        }
        if not self.training:  # a second forward pass, for the same times and noise
            alone = self.velocity(point.noisy, torch.zeros_like(mel), draws["time"], lengths)
            stats["condition_gain"] = _mean(_square_error(alone, point.velocity) - error, hidden & seen)
        return Loss((term,), stats | _by_decile(error, valid, draws["time"]))

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """The power of the velocity: of the noise, 1, and of the mel."""
        meaning = "the power of noise and mel: a velocity of zero"
        return (Chance("loss_flow", 1.0 + figures["mel_power"], meaning),)

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """A mel that is not normalised, a model that learns nothing, ignores what it is shown, or ignores the time."""
        warnings = []
        power = figures.get("mel_power", 1.0)
        if not MEL_POWER[0] <= power <= MEL_POWER[1]:
            warnings.append(
                f"mel_power is {power:.2f}; healthy is 1, a mel of unit power: the statistics of stage 6 do not fit "
                "the audio; run stage 6 again with this config and all training sets (frontend_conf: mel_norm: corpus)"
            )
        if update <= self.config.watch_after:
            return warnings
        hidden, visible = figures.get("hidden_error", 0.0), figures.get("visible_error", 0.0)
        if figures.get("loss_flow", 0.0) > UNTRAINED_ERROR:
            warnings.append(
                f"loss_flow is {figures['loss_flow']:.2f}; a model that outputs zero has 2, a healthy one is below 1.5 "
                "by now: raise the learning rate, or lower it if the gradient norm is large"
            )
            return warnings
        if hidden > 0 and visible > VISIBLE_SHARE * hidden:
            warnings.append(
                f"visible_error is {visible:.2f} and hidden_error {hidden:.2f}; healthy is a visible_error far below: "
                "the model does not use what it is shown; hide less (hidden_share), or lower the learning rate"
            )
        curve = [figures.get(f"error_decile_{number}", 0.0) for number in range(NUM_DECILES)]
        if min(curve) > 0 and max(curve) - min(curve) < FLAT_CURVE * sum(curve) / NUM_DECILES:
            warnings.append(
                f"error_decile_0 to error_decile_{NUM_DECILES - 1} lie within {min(curve):.2f} and {max(curve):.2f}; "
                "healthy is a curve with its lowest point in the middle: the model ignores the time; try time_mlp: "
                "true, or a lower learning rate"
            )
        return warnings

    def encode_whole(
        self, wavs: Tensor, lengths: Tensor, layers: tuple[int, ...], *, branch: str | None = None
    ) -> tuple[Hidden, Tensor]:
        """The whole clean mel is shown, or nothing. x_t is the path at `extract_time` with noise that is the same for
        every utterance; at time 1, the default, it is the clean mel itself."""
        mel, _ = self.frontend.analyse(wavs, lengths)
        frame_lengths = self.frontend.analysis_geometry.output_lengths(lengths)
        time = mel.new_full((len(mel),), self.config.extract_time)
        noisy = mel
        if self.config.extract_time < 1:
            blocks = -(-mel.size(1) // RANDN_BLOCK) * RANDN_BLOCK
            noise = torch.randn(blocks, self.num_mels, generator=torch.Generator().manual_seed(EXTRACT_SEED))
            noise = noise[: mel.size(1)].to(mel.device)
            noisy = path_point(mel, noise.expand_as(mel), time, self.config.sigma_min).noisy
        shown = mel if self.config.extract_condition == "clean" else torch.zeros_like(mel)
        return self._encode(noisy, shown, time, frame_lengths, layers=layers, branch=branch), frame_lengths


def _check_frontend(frontend: Frontend) -> None:
    """Refuse a frontend whose frames are no fixed picture of the audio at full rate.

    Raises:
        UserError: it learns its frames, does not normalise them, or subsamples them.
    """
    meant = "expected frontend: fbank with frontend_conf: mel_norm: corpus, stack_frames: 1"
    if frontend.learns_analysis:
        raise UserError(f"loss (speechflow): the frontend learns its frames, so they cannot be a target; {meant}")
    if not frontend.analysis_is_normalised:
        raise UserError(f"loss (speechflow): the mel frames are not normalised, as the noise is; {meant}")
    if frontend.geometry != frontend.analysis_geometry:
        raise UserError(f"loss (speechflow): the frontend subsamples the mel frames; {meant}")


def _square_error(prediction: Tensor, target: Tensor) -> Tensor:
    """(batch, frames, mels) twice -> (batch, frames) mean over mels, in float32."""
    return (prediction.float() - target.float()).square().mean(-1)


def _mean(values: Tensor, where: Tensor) -> Ratio:
    """Mean of (batch, frames) where a (batch, frames) bool is True."""
    return Ratio(values.masked_fill(~where, 0).sum(), where.sum())


def _by_decile(error: Tensor, valid: Tensor, time: Tensor) -> dict[str, Ratio]:
    """Mean error of the utterances whose time is in each tenth of 0..1."""
    number = torch.arange(NUM_DECILES, device=time.device)
    in_decile = ((time * NUM_DECILES).long().clamp(max=NUM_DECILES - 1)[:, None] == number).double()
    totals = in_decile.T @ error.masked_fill(~valid, 0).sum(1).double()
    counts = in_decile.T @ valid.sum(1).double()
    return {f"error_decile_{decile}": Ratio(totals[decile], counts[decile]) for decile in range(NUM_DECILES)}
