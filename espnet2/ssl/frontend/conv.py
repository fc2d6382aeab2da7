"""The convolutions of wav2vec 2.0 and HuBERT (section 2 of both): by default one frame per 320 samples (20 ms)."""

from typing import Literal, cast

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.folded_norm import normalised_convolution
from espnet2.ssl.modules.formulation import wants_cuda_formulation
from espnet2.ssl.modules.gradient import scale_gradient
from espnet2.ssl.modules.norm import ChannelLayerNorm, TimeGroupNorm, TimeStatistics
from espnet2.ssl.modules.products import strided_product
from espnet2.utils import config

WAV2VEC2_LAYERS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))  # wav2vec 2.0, section 4.2
_TRAINED = config.tagged(config.Tag.HOW_TRAINED)


class ConvFrontend(Frontend):
    """The feature encoder of wav2vec 2.0 and HuBERT (section 2 of both papers), LayerNorm and a linear projection."""

    class Config(config.Config):
        """`frontend_conf` of `frontend: conv`; the defaults are HuBERT Base."""

        sample_rate: int = Field(16000, gt=0, description="Hz")
        channels: int = Field(512, gt=0, description="of each convolution")
        layers: tuple[tuple[PositiveInt, PositiveInt], ...] = Field(
            WAV2VEC2_LAYERS, min_length=1, description="(kernel, stride)"
        )
        norm: Literal["group", "layer"] = Field(
            "group", description="group: one norm over time after the first layer (Base); layer: over channels, in all"
        )
        bias: bool = Field(False, description="bias of the convolutions")
        feature_grad_mult: float = Field(
            0.1, ge=0, description="factor on the gradient of the convolutions", json_schema_extra=_TRAINED
        )
        dropout: float = Field(0.1, ge=0, lt=1, description="after the projection", json_schema_extra=_TRAINED)
        normalize: Literal["none", "utterance"] = Field("none", description="of the waveform; Large uses utterance")
        project: bool = Field(True, description="false: the objective projects the features itself")
        projection_norm: bool = Field(True, description="LayerNorm before the projection; ESPnet's ssl1 has none")

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.geometry = self.analysis_geometry = FrameGeometry(config.layers, config.sample_rate)
        self.feature_dim = self.analysis_dim = config.channels
        self.feature_grad_mult = config.feature_grad_mult
        blocks = []
        for number, (kernel, stride) in enumerate(config.layers):
            inputs = config.channels if number else 1
            blocks.append(_ConvBlock(inputs, config.channels, kernel, stride, config.bias, _norm(config, number)))
        self.blocks = nn.ModuleList(blocks)
        if config.norm == "group":
            self.time_norm_geometry = FrameGeometry(config.layers[:1], config.sample_rate)
        self.build_projection(dim, projects=config.project, layer_norm=config.projection_norm, dropout=config.dropout)

    def analyse(self, wavs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, samples), (batch,) samples -> (batch, frames, channels), (batch,) frames."""
        # The factor stands behind all convolutions and before all losses: as in fairseq, the penalty on the features
        # gets it, too.
        if wants_cuda_formulation(wavs):
            x = wavs[..., None]
            for block in self.blocks:
                x, lengths = cast(_ConvBlock, block).by_products(x, lengths)
            return scale_gradient(x, self.feature_grad_mult), lengths
        x = wavs[:, None]
        for block in self.blocks:
            x, lengths = block(x, lengths)
        return scale_gradient(x, self.feature_grad_mult).transpose(1, 2), lengths

    def before_time_norm(self, wavs: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, channels) of the first convolution."""
        first: Tensor = self._first_block().conv(wavs[:, None])
        return first.transpose(1, 2)

    def set_time_statistics(self, statistics: TimeStatistics | None) -> None:
        """See `Frontend.set_time_statistics`."""
        super().set_time_statistics(statistics)
        norm = self._first_block().norm
        if isinstance(norm, TimeGroupNorm):
            norm.statistics = statistics

    def _first_block(self) -> "_ConvBlock":
        return cast(_ConvBlock, self.blocks[0])


class _ConvBlock(nn.Module):
    """Convolution without padding, norm, GELU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        bias: bool,
        norm: TimeGroupNorm | ChannelLayerNorm | None,
    ) -> None:
        super().__init__()
        self.geometry = FrameGeometry(((kernel, stride),))
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=bias)
        nn.init.kaiming_normal_(self.conv.weight)  # as fairseq
        self.norm = norm

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, inputs, frames in), (batch,) frames in -> (batch, outputs, frames), (batch,) frames."""
        x = self.conv(x)
        lengths = None if lengths is None else self.geometry.output_lengths(lengths)
        if self.norm is not None:
            x = self.norm(x, lengths)
        return F.gelu(x), lengths

    def by_products(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """`forward` as matrix products: (batch, frames in, inputs) -> (batch, frames, outputs), likewise."""
        lengths = None if lengths is None else self.geometry.output_lengths(lengths)
        weight, bias, stride, norm = self.conv.weight, self.conv.bias, self.conv.stride[0], self.norm
        if isinstance(norm, TimeGroupNorm) and norm.statistics is None and x.size(2) == 1:
            x = normalised_convolution(
                x.squeeze(2), weight, bias, lengths, stride=stride, gain=norm.weight, shift=norm.bias, eps=norm.eps
            )
            return F.gelu(x), lengths
        x = strided_product(x, weight, stride)
        if bias is not None:
            x = x + bias.to(x.dtype)
        if isinstance(norm, TimeGroupNorm | ChannelLayerNorm):
            x = norm.of_frames(x, lengths)
        return F.gelu(x), lengths


def _norm(config: ConvFrontend.Config, number: int) -> TimeGroupNorm | ChannelLayerNorm | None:
    if config.norm == "layer":
        return ChannelLayerNorm(config.channels)
    return TimeGroupNorm(config.channels) if number == 0 else None
