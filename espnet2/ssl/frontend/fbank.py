"""The log-mel frontend: 10 ms, normalised, stacked or convolved to 20 or 40 ms; cheap enough for a CPU."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.lengths import valid_frames, zero_padding
from espnet2.ssl.modules.mel import LogMel, MelSettings
from espnet2.ssl.modules.mel_statistics import MelStatistics
from espnet2.ssl.modules.norm import normalise_over_time
from espnet2.ssl.modules.subsample import ConvSubsample, StackFrames
from espnet2.utils import config

NORM_EPSILON = 1e-5  # added to the variance of an utterance's mel
_TRAINED = config.tagged(config.Tag.HOW_TRAINED)


class FbankFrontend(Frontend):
    """Log-mel filter bank, normalised, subsampled, and a linear projection."""

    class Config(config.Config):
        """`frontend_conf` of `frontend: fbank`."""

        sample_rate: int = Field(16000, gt=0, description="Hz")
        num_mels: int = Field(80, gt=0, description="mel bands")
        window: Literal["kaldi", "hann"] = Field(
            "kaldi", description="kaldi: energies as compute-fbank-feats; hann: amplitudes as vocoders use them"
        )
        window_seconds: float = Field(0.025, gt=0, description="seen by one mel frame")
        fft_size: int | None = Field(None, gt=0, description="samples; left out: the next power of two")
        sample_scale: Literal["unit", "int16"] = Field(
            "unit",
            description="of the samples: unit: -1 to 1; int16: times 32768, so that less is floored (w2v-BERT 2.0)",
        )
        mel_norm: Literal["utterance", "corpus", "none"] = Field(
            "utterance", description="of mel frames; corpus: by the training sets' mean and deviation of stage 6"
        )
        mel_norm_per_bin: bool = Field(True, description="corpus: one mean and deviation per mel bin, or one for all")
        mel_variance: Literal["population", "sample"] = Field(
            "population", description="of utterance: squares divided by the frames, or by one less (w2v-BERT 2.0)"
        )
        mel_norm_eps: float = Field(
            NORM_EPSILON, gt=0, description="of utterance: added to the variance; w2v-BERT 2.0: 1e-7"
        )
        subsample: Literal["stack", "conv2d"] = Field(
            "stack", description="stack: 10 ms frames side by side; conv2d: two 3x3 convolutions to 40 ms"
        )
        stack_frames: int = Field(2, ge=1, description="10 ms frames side by side: 2 gives 20 ms, 4 gives 40 ms")
        conv2d_channels: int = Field(256, gt=0, description="of each of the two convolutions")
        layer_norm: bool = Field(False, description="LayerNorm before the projection")
        dropout: float = Field(0.0, ge=0, lt=1, description="after the projection", json_schema_extra=_TRAINED)
        project: bool = Field(True, description="false: the objective projects the features itself")

        @property
        def mel_settings(self) -> MelSettings:
            return MelSettings(
                self.sample_rate, self.num_mels, self.window, self.window_seconds, self.fft_size, self.sample_scale
            )

        @model_validator(mode="after")
        def _norm_is_of_utterances(self) -> "FbankFrontend.Config":
            for key, usual in (("mel_variance", "population"), ("mel_norm_eps", NORM_EPSILON)):
                if self.mel_norm != "utterance" and getattr(self, key) != usual:
                    raise ValueError(f"{key} is {getattr(self, key)}, which mel_norm {self.mel_norm} does not use")
            return self

        @model_validator(mode="after")
        def _window_fits(self) -> "FbankFrontend.Config":
            mel = self.mel_settings
            if mel.fft_samples < mel.window_samples:
                raise ValueError(f"fft_size {self.fft_size} is shorter than the window of {mel.window_samples} samples")
            return self

    learns_analysis = False
    mel_mean: Tensor  # (mels,), where mel_norm is corpus
    mel_std: Tensor  # (mels,)

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        self.normalize = "none"  # the level of the waveform goes away with mel_norm
        self.mel_norm = config.mel_norm
        self.analysis_is_normalised = config.mel_norm != "none"
        self.mel = LogMel(config.mel_settings)
        if config.mel_norm == "utterance":
            self.time_norm_geometry, self.norm_eps = self.mel.geometry, config.mel_norm_eps
            self.time_norm_correction = 1 if config.mel_variance == "sample" else 0
        if config.mel_norm == "corpus":
            self.statistics_settings, self.norm_per_bin = config.mel_settings, config.mel_norm_per_bin
            self.register_buffer("mel_mean", torch.zeros(config.num_mels))  # until set_statistics or a checkpoint
            self.register_buffer("mel_std", torch.ones(config.num_mels))
        self.learns_features = config.subsample == "conv2d"
        conv = config.subsample == "conv2d"
        self.subsampler = ConvSubsample(config.conv2d_channels) if conv else StackFrames(config.stack_frames)
        self.analysis_geometry, self.analysis_dim = self.mel.geometry, config.num_mels
        self.geometry = self.analysis_geometry.extended(*self.subsampler.layers)
        self.feature_dim = self.subsampler.output_dim(config.num_mels)
        self.build_projection(dim, projects=config.project, layer_norm=config.layer_norm, dropout=config.dropout)

    def analyse(self, wavs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, samples), (batch,) samples -> (batch, frames, mels) normalised log-mel float32, (batch,) frames."""
        mel = self.mel(wavs)
        lengths = None if lengths is None else self.analysis_geometry.output_lengths(lengths)
        if self.mel_norm == "utterance":
            if self.time_statistics is None:
                normalised = normalise_over_time(mel, lengths, eps=self.norm_eps, correction=self.time_norm_correction)
                return normalised, lengths
            mel = self.time_statistics.normalise(mel, eps=self.norm_eps)
        if self.mel_norm == "corpus":
            mel = (mel - self.mel_mean) / self.mel_std
        return zero_padding(mel, valid_frames(lengths, mel.size(1))), lengths

    def subsample(self, frames: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, mel frames, mels), (batch,) mel frames -> (batch, frames, feature_dim), (batch,) frames."""
        lengths = None if lengths is None else self.subsample_geometry.output_lengths(lengths)
        return self.subsampler(frames), lengths

    def before_time_norm(self, wavs: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, mels)."""
        mel: Tensor = self.mel(wavs)
        return mel

    def set_statistics(self, statistics: MelStatistics) -> None:
        """Normalise by these from now on; they travel in every checkpoint."""
        mean, std = statistics.mean_and_std(per_bin=self.norm_per_bin)
        self.mel_mean.copy_(mean)
        self.mel_std.copy_(std)
