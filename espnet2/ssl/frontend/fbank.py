"""Waveforms to frames: log-mel filter bank at 10 ms, stacked to 20 ms; cheap enough for a CPU."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from espnet2.ssl.frontend.base import Frames, Frontend
from espnet2.ssl.frontend.geometry import FrameGeometry
from espnet2.ssl.frontend.subsample import StackFrames
from espnet2.ssl.modules.norm import normalise_over_time
from espnet2.utils import config

WINDOW_SECONDS, SHIFT_SECONDS = 0.025, 0.010  # Kaldi's defaults, as all constants below
PREEMPHASIS = 0.97
POVEY_POWER = 0.85  # of the Hann window
LOW_HERTZ = 20.0
ENERGY_FLOOR = torch.finfo(torch.float32).eps


class FbankFrontend(Frontend):
    """Kaldi's log-mel filter bank, mean and variance normalised per utterance, stacked, and a linear projection."""

    class Config(config.Config):
        """`frontend_conf` of `frontend: fbank`."""

        sample_rate: int = Field(16000, gt=0, description="Hz")
        num_mels: int = Field(80, gt=0)
        stack_frames: int = Field(2, ge=1, description="10 ms frames side by side: 2 gives 20 ms, 4 gives 40 ms")
        mel_norm: Literal["utterance", "none"] = Field("utterance", description="mean and variance of every mel bin")
        layer_norm: bool = Field(False, description="LayerNorm before the projection")
        dropout: float = Field(0.0, ge=0, lt=1, description="after the projection")

    learns_features = False

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        self.normalize = "none"  # the level of the waveform goes away with mel_norm
        self.mel_norm = config.mel_norm
        self.mel = LogMel(config.sample_rate, config.num_mels)
        self.stack = StackFrames(config.stack_frames)
        self.geometry = self.mel.geometry.extended(*self.stack.layers)
        feature_dim = self.stack.output_dim(config.num_mels)
        self.norm = nn.LayerNorm(feature_dim) if config.layer_norm else nn.Identity()
        self.projection = nn.Linear(feature_dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, wavs: Tensor, lengths: Tensor | None) -> Frames:
        """(batch, samples), (batch,) samples -> Frames; the features are the normalised log-mel frames, stacked."""
        mel = self.mel(wavs)
        if self.mel_norm == "utterance":
            mel_lengths = None if lengths is None else self.mel.geometry.output_lengths(lengths)
            mel = normalise_over_time(mel, mel_lengths, eps=1e-5)
        features = self.stack(mel)
        projected = self.dropout(self.projection(self.norm(features)))
        return Frames(projected, self.output_lengths(lengths), features)


class LogMel(nn.Module):
    """Natural logarithm of mel energies as Kaldi computes them (dither 0, snip_edges), whole batches at once.

    Removing the mean, pre-emphasis, the Povey window and the Fourier transform are all linear: one matrix does them.
    """

    def __init__(self, sample_rate: int, num_mels: int) -> None:
        super().__init__()
        self.window, self.shift = round(WINDOW_SECONDS * sample_rate), round(SHIFT_SECONDS * sample_rate)
        self.geometry = FrameGeometry(((self.window, self.shift),), sample_rate)
        fft_size = 1 << (self.window - 1).bit_length()
        self.register_buffer("analysis", _analysis_matrix(self.window, fft_size).float(), persistent=False)
        self.register_buffer("filters", _mel_filters(num_mels, fft_size, sample_rate).float(), persistent=False)

    @torch.no_grad()
    def forward(self, wavs: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, mels) float32."""
        with torch.autocast(wavs.device.type, enabled=False):  # energies span more than bf16 resolves
            frames = wavs.float().unfold(1, self.window, self.shift)
            real, imaginary = (frames @ self.analysis).chunk(2, dim=-1)
            energies = (real.square() + imaginary.square()) @ self.filters
            return energies.clamp(min=ENERGY_FLOOR).log()


def _analysis_matrix(window: int, fft_size: int) -> Tensor:
    """(window, 2 * bins) float64: samples of a frame to real and imaginary parts below the Nyquist frequency."""
    identity = torch.eye(window, dtype=torch.float64, device="cpu")
    frames = identity - 1 / window  # row by row: a unit impulse without its mean
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)  # Kaldi repeats the first sample
    phase = 2 * math.pi * torch.arange(window, dtype=torch.float64, device="cpu") / (window - 1)
    povey = (0.5 - 0.5 * phase.cos()) ** POVEY_POWER
    spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * povey, n=fft_size)[:, : fft_size // 2]
    return torch.cat([spectrum.real, spectrum.imag], dim=1)


def _mel_filters(num_mels: int, fft_size: int, sample_rate: int) -> Tensor:
    """(bins, mels) float64: triangles of equal width on the mel scale, from 20 Hz to the Nyquist frequency."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * (1 + hertz / 700).log()

    limits = mel(torch.tensor([LOW_HERTZ, sample_rate / 2], dtype=torch.float64, device="cpu"))
    width = (limits[1] - limits[0]) / (num_mels + 1)
    left = limits[0] + width * torch.arange(num_mels, dtype=torch.float64, device="cpu")
    bins = mel(torch.arange(fft_size // 2, dtype=torch.float64, device="cpu") * sample_rate / fft_size)[:, None]
    return torch.minimum((bins - left) / width, (left + 2 * width - bins) / width).clamp(min=0)
