"""Waveforms in, projected frames out: what every frontend is."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from espnet2.ssl.frontend.geometry import FrameGeometry
from espnet2.utils.config import Config


class Frames(NamedTuple):
    """What a frontend returns."""

    projected: Tensor  # (batch, frames, encoder dim): normalised, projected, after the input dropout
    lengths: Tensor | None  # (batch,) valid frames; None when the frontend was told that nothing is padded
    features: Tensor  # (batch, frames, feature dim) before that normalisation: for penalties and reconstruction


class Frontend(nn.Module, ABC):
    """Features, then an optional subsampler, then normalisation and projection to the encoder's width.

    One file `espnet2/ssl/frontend/<name>.py` holds one subclass, made as `cls(config, encoder_dim)`, and its `Config`.
    """

    Config: ClassVar[type[Config]]
    learns_features: ClassVar[bool] = True  # False: the features are computed, a penalty on them is a constant
    geometry: FrameGeometry  # of the frames that come out at the end
    normalize: str  # "none", or "utterance": the loader gives each whole utterance zero mean and unit variance

    @abstractmethod
    def forward(self, wavs: Tensor, lengths: Tensor | None) -> Frames:
        """Encode.

        Args:
            wavs: (batch, samples).
            lengths: (batch,) valid samples, or None: all samples of all rows. Padding never changes the valid frames.
        """

    def output_lengths(self, lengths: Tensor | None) -> Tensor | None:
        """(batch,) samples -> (batch,) frames."""
        return None if lengths is None else self.geometry.output_lengths(lengths)
