"""A SpeechFlow model, an utterance and a span in; what the model fills the span with, and how good it is, out."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from espnet2.data.dataset import seed_for
from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.frontend.fbank import FbankFrontend
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.flow import integrate
from espnet2.ssl.objective.speechflow import SpeechFlow
from espnet2.utils.errors import UserError

AMPLITUDE_DECIBEL = 20 / math.log(10)  # per unit of the natural logarithm of an amplitude; of an energy: half of it
SPAN_STREAM, NOISE_STREAM = 0, 1  # keep the draws apart


class Span(NamedTuple):
    """Mel frames `first` .. `stop` - 1."""

    first: int
    stop: int


@dataclass(frozen=True)
class Filled:
    """One utterance with a hidden span, filled from several seeds; log-mel values as the frontend computes them."""

    utt_id: str
    mel: Tensor  # (frames, mels): the truth
    samples: Tensor  # (seeds, frames, mels): the truth outside the span, the model's own inside
    span: Span
    deviation: float  # of the corpus: what one normalised unit is worth
    decibel: float  # what one unit of the log-mel is worth

    def statistics(self) -> "SpanFigures":
        """Figures of the span alone.

        `spread` is the standard deviation over seeds in units of the corpus; zero means that the model draws the mean.
        A sample that is as good as another recording errs by the square root of two more than the mean of all samples,
        so that this mean (of the seeds there are) is what can be compared with a straight line across the span.
        """
        first, stop = self.span
        truth, samples = self.mel[first:stop], self.samples[:, first:stop]
        line = interpolated(self.mel, self.span)
        return SpanFigures(
            data_mean=float(truth.mean()),
            sample_mean=float(samples.mean()),
            data_std=float(truth.std(correction=0)),
            sample_std=float(samples.flatten(1).std(dim=1, correction=0).mean()),
            error_db=self._distance(samples, truth),
            mean_error_db=self._distance(samples.mean(0), truth),
            line_error_db=self._distance(line, truth),
            spread=float(samples.std(dim=0, correction=0).mean()) / self.deviation,
        )

    def _distance(self, guess: Tensor, truth: Tensor) -> float:
        """Root mean square difference in dB."""
        return self.decibel * float((guess - truth).square().mean().sqrt())


@dataclass(frozen=True)
class SpanFigures:
    """How good the samples of one span are, or the mean over utterances. Log-mel values as the frontend has them."""

    data_mean: float
    sample_mean: float
    data_std: float
    sample_std: float
    error_db: float  # of a sample
    mean_error_db: float  # of the mean of all samples
    line_error_db: float  # of a straight line across the span
    spread: float  # over seeds, in units of the corpus

    @classmethod
    def mean(cls, figures: Sequence["SpanFigures"]) -> "SpanFigures":
        """Over utterances."""
        return cls(*(sum(getattr(of_one, name.name) for of_one in figures) / len(figures) for name in fields(cls)))


class FlowSampler:
    """Draws log-mel frames from a trained model.

    Args:
        num_steps: of the midpoint method; each costs two forward passes, four with guidance.
        guidance: classifier-free: (1 + guidance) v(shown) - guidance v(nothing shown).

    Raises:
        UserError: the model has no speechflow loss, or its mel cannot be turned back.
    """

    def __init__(self, model: SSLModel, name: str, *, num_steps: int = 16, guidance: float = 0.0) -> None:
        objectives = [objective for objective in model.objectives.values() if isinstance(objective, SpeechFlow)]
        if not objectives:
            raise UserError(f"{name}: trained with {', '.join(model.objectives)}; sampling needs a speechflow loss")
        assert isinstance(model.frontend, FbankFrontend), "speechflow asks for mel frames"
        if model.frontend.mel_norm == "utterance":
            raise UserError(f"{name}: mel_norm is utterance, which cannot be undone; sampling needs mel_norm: corpus")
        self.model, self.objective, self.frontend = model.eval(), objectives[0], model.frontend
        self.num_steps, self.guidance = num_steps, guidance
        is_corpus = model.frontend.mel_norm == "corpus"
        self.mean = self.frontend.mel_mean if is_corpus else torch.zeros(())
        self.std = self.frontend.mel_std if is_corpus else torch.ones(())

    @property
    def geometry(self) -> FrameGeometry:
        """Of the mel frames."""
        return self.frontend.analysis_geometry

    @torch.no_grad()
    def fill(self, utt_id: str, wav: Tensor, span: Span, *, num_seeds: int, seed: int) -> Filled:
        """Hide a span and fill it, `num_seeds` times at once.

        Args:
            wav: (samples,) on the model's device.
            seed: of the noise, with the utterance's name: the same in any order and company.
        """
        mel, _ = self.frontend.analyse(wav[None], None)
        hidden = torch.zeros(mel.size(1), dtype=torch.bool, device=mel.device)
        hidden[span.first : span.stop] = True
        noise = self._noise(utt_id, mel[0], num_seeds, seed)
        drawn = self.sample(mel.masked_fill(hidden[:, None], 0).expand_as(noise), noise)
        filled = torch.where(hidden[:, None], drawn, mel)
        mel, filled = ((frames * self.std + self.mean).cpu() for frames in (mel[0], filled))
        decibel = AMPLITUDE_DECIBEL if self.frontend.mel.amplitudes else AMPLITUDE_DECIBEL / 2
        return Filled(utt_id, mel, filled, span, float(self.std.float().mean()), decibel)

    def sample(self, shown: Tensor, noise: Tensor) -> Tensor:
        """Carry noise to data.

        Args:
            shown: (batch, frames, mels) normalised mel, zero where it is hidden.
            noise: (batch, frames, mels) of N(0, 1).

        Returns:
            (batch, frames, mels) normalised mel.
        """
        nothing = torch.zeros_like(shown)

        def velocity(x: Tensor, time: float) -> Tensor:
            times = x.new_full((len(x),), time)
            given = self.objective.velocity(x, shown, times, None)
            if self.guidance == 0:
                return given
            return (1 + self.guidance) * given - self.guidance * self.objective.velocity(x, nothing, times, None)

        return integrate(velocity, noise, self.num_steps)

    def _noise(self, utt_id: str, mel: Tensor, num_seeds: int, seed: int) -> Tensor:
        """(seeds, frames, mels), one generator each: the first seeds stay the same when more are asked for."""
        parts = []
        for number in range(num_seeds):
            generator = _generator(utt_id, NOISE_STREAM, seed, number)
            parts.append(torch.randn(mel.shape, generator=generator))
        return torch.stack(parts).to(mel.device)


def choose_span(
    utt_id: str, num_samples: int, geometry: FrameGeometry, *, start_seconds: float | None, seconds: float, seed: int
) -> Span:
    """The frames to hide: from a given second on, or anywhere inside the utterance.

    Args:
        start_seconds: None draws it from (seed, utterance), with sound left on both sides where there is any.

    Raises:
        UserError: the span has no frame, or ends beyond the audio.
    """
    rate, num_frames = geometry.frame_rate, geometry.output_lengths(num_samples)
    length = round(seconds * rate)
    has = f"utterance {utt_id} has {num_frames / rate:.2f} s of mel frames"
    if length < 1:
        raise UserError(f"--span_seconds {seconds:g} is shorter than one frame ({1 / rate:g} s)")
    if start_seconds is None:
        if length > num_frames:
            raise UserError(f"{has}, the span {seconds:g} s; choose a shorter --span_seconds or longer utterances")
        room = num_frames - length
        edge = min(length, room // 2)
        generator = _generator(utt_id, SPAN_STREAM, seed, 0)
        first = int(torch.randint(edge, room - edge + 1, (), generator=generator))
        return Span(first, first + length)
    first = round(start_seconds * rate)
    if first < 0 or first + length > num_frames:
        raise UserError(
            f"{has}; the span {start_seconds:g} s to {start_seconds + seconds:g} s ends beyond them; "
            "choose another --span_start or a shorter --span_seconds"
        )
    return Span(first, first + length)


def interpolated(mel: Tensor, span: Span) -> Tensor:
    """(frames, mels) -> (frames of the span, mels): a straight line between its neighbours, per mel bin."""
    left = mel[span.first - 1] if span.first > 0 else mel[min(span.stop, len(mel) - 1)]
    right = mel[span.stop] if span.stop < len(mel) else left
    share = torch.linspace(0, 1, span.stop - span.first + 2)[1:-1, None]
    return left + share * (right - left)


def _generator(utt_id: str, stream: int, seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(seed, zlib.crc32(utt_id.encode()), stream, number))
