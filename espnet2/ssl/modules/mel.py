"""Waveforms to log-mel frames, whole batches at once: Kaldi's filter bank, or the mel of speech synthesis."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from espnet2.data.geometry import FrameGeometry
from espnet2.utils.files import hash_value

SHIFT_SECONDS = 0.010
KALDI_PREEMPHASIS = 0.97  # Kaldi's defaults, feature-window.h and mel-computations.h, as the next two
KALDI_POVEY_POWER = 0.85  # of the Hann window
KALDI_LOW_HERTZ = 20.0
KALDI_FLOOR = torch.finfo(torch.float32).eps  # of an energy
SAMPLE_SCALES = {"unit": 1, "int16": 2**15}
HANN_FLOOR = 1e-5  # of an amplitude: HiFi-GAN (Kong et al., 2020), mel_spectrogram of its code


@dataclass(frozen=True)
class MelSettings:
    """All that the values of a mel frame depend on."""

    sample_rate: int = 16000  # Hz
    num_mels: int = 80
    window: str = "kaldi"  # "kaldi" or "hann", see LogMel
    window_seconds: float = 0.025
    fft_size: int | None = None  # samples; None: the next power of two
    sample_scale: str = "unit"  # "unit": samples between -1 and 1; "int16": times 32768, which moves Kaldi's floor

    @property
    def window_samples(self) -> int:
        return round(self.window_seconds * self.sample_rate)

    @property
    def fft_samples(self) -> int:
        return self.fft_size or 1 << (self.window_samples - 1).bit_length()

    @property
    def geometry(self) -> FrameGeometry:
        """Of the mel frames."""
        return FrameGeometry(((self.window_samples, round(SHIFT_SECONDS * self.sample_rate)),), self.sample_rate)

    def describe(self) -> Mapping[str, int | float | str]:
        """The settings as JSON can hold them."""
        settings = asdict(self) | {"fft_size": self.fft_samples}
        if self.sample_scale == "unit":  # hashes of what was gathered before there was a choice stay
            del settings["sample_scale"]
        return settings

    @property
    def hash(self) -> str:
        """Names what was computed from such frames."""
        return hash_value(self.describe())


class LogMel(nn.Module):
    """Natural logarithm of mel values, every 10 ms, without padding at the edges. No weights.

    `kaldi`: energies as Kaldi's compute-fbank-feats (dither 0, snip_edges): mean removed, pre-emphasis, Povey window.
    `hann`: amplitudes as vocoders use them (HiFi-GAN, Voicebox): Hann window, Slaney's mel scale with triangles of
    equal area, from 0 Hz. Both transforms of a frame are linear up to the spectrum: one matrix does them.
    """

    analysis: Tensor  # (window, 2 * bins)
    filters: Tensor  # (bins, mels)

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        self.settings, self.geometry = settings, settings.geometry
        self.amplitudes = settings.window == "hann"
        analysis, filters = (_hann_matrices if self.amplitudes else _kaldi_matrices)(settings)
        analysis = analysis * SAMPLE_SCALES[settings.sample_scale]
        self.register_buffer("analysis", analysis.float(), persistent=False)
        self.register_buffer("filters", filters.float(), persistent=False)

    @torch.no_grad()
    def forward(self, wavs: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, mels) float32."""
        with torch.autocast(wavs.device.type, enabled=False):  # energies span more than bf16 resolves
            frames = wavs.float().unfold(1, *self.geometry.layers[0])
            real, imaginary = (frames @ self.analysis).chunk(2, dim=-1)
            spectrum = real.square() + imaginary.square()
            if self.amplitudes:
                return (spectrum.sqrt() @ self.filters).clamp(min=HANN_FLOOR).log()
            return (spectrum @ self.filters).clamp(min=KALDI_FLOOR).log()


def _kaldi_matrices(settings: MelSettings) -> tuple[Tensor, Tensor]:
    """(window, 2 * bins): samples of a frame to real and imaginary parts below the Nyquist frequency; (bins, mels)."""
    window, fft_size = settings.window_samples, settings.fft_samples
    identity = torch.eye(window, dtype=torch.float64, device="cpu")
    frames = identity - 1 / window  # row by row: a unit impulse without its mean
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)  # Kaldi repeats the first sample
    phase = 2 * math.pi * torch.arange(window, dtype=torch.float64, device="cpu") / (window - 1)
    povey = (0.5 - 0.5 * phase.cos()) ** KALDI_POVEY_POWER
    spectrum = torch.fft.rfft((frames - KALDI_PREEMPHASIS * before) * povey, n=fft_size)[:, : fft_size // 2]
    filters = _kaldi_filters(settings.num_mels, fft_size, settings.sample_rate)
    return torch.cat([spectrum.real, spectrum.imag], dim=1), filters


def _kaldi_filters(num_mels: int, fft_size: int, sample_rate: int) -> Tensor:
    """(bins, mels) float64: triangles of equal width on the mel scale, from 20 Hz to the Nyquist frequency."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * (1 + hertz / 700).log()

    limits = mel(torch.tensor([KALDI_LOW_HERTZ, sample_rate / 2], dtype=torch.float64, device="cpu"))
    width = (limits[1] - limits[0]) / (num_mels + 1)
    left = limits[0] + width * torch.arange(num_mels, dtype=torch.float64, device="cpu")
    bins = mel(torch.arange(fft_size // 2, dtype=torch.float64, device="cpu") * sample_rate / fft_size)[:, None]
    return torch.minimum((bins - left) / width, (left + 2 * width - bins) / width).clamp(min=0)


def _hann_matrices(settings: MelSettings) -> tuple[Tensor, Tensor]:
    """(window, 2 * bins): samples of a frame to real and imaginary parts up to the Nyquist frequency; (bins, mels)."""
    with torch.device("cpu"):  # its modules make constants when they are imported, which a model on meta must not own
        from torchaudio.functional import melscale_fbanks

    window, fft_size, rate = settings.window_samples, settings.fft_samples, settings.sample_rate
    with torch.device("cpu"):  # a model built on the meta device has real constants all the same
        weighted = torch.diag(torch.hann_window(window, periodic=True, dtype=torch.float64))
        spectrum = torch.fft.rfft(weighted, n=fft_size)
        filters = melscale_fbanks(fft_size // 2 + 1, 0.0, rate / 2, settings.num_mels, rate, "slaney", "slaney")
    return torch.cat([spectrum.real, spectrum.imag], dim=1), filters
