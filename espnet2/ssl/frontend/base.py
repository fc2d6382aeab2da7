"""What every frontend is: `analyse`, `subsample` and `project`, from waveforms to projected frames."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from torch import Tensor, nn

from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.modules.mel import MelSettings
from espnet2.ssl.modules.mel_statistics import MelStatistics
from espnet2.ssl.modules.norm import TimeStatistics
from espnet2.ssl.modules.pieces import forward_in_pieces, needs_pieces
from espnet2.utils.config import Config


class Frames(NamedTuple):
    """What a frontend returns."""

    projected: Tensor | None  # (batch, frames, encoder dim): normalised, projected, after dropout; None: not built
    lengths: Tensor | None  # (batch,) valid frames; None when the frontend was told that nothing is padded
    features: Tensor  # (batch, frames, feature dim) before that normalisation: for penalties and reconstruction

    @property
    def inputs(self) -> Tensor:
        """`projected`, of a frontend that projects.

        Raises:
            TypeError: it was built with `project: false`.
        """
        if self.projected is None:
            raise TypeError("the frontend was built without its projection: it gives features alone")
        return self.projected


class Frontend(nn.Module, ABC):
    """Three steps: `analyse` the waveform, `subsample` its frames, `project` them to the encoder's width.

    One file `espnet2/ssl/frontend/<name>.py` holds one subclass, made as `cls(config, encoder_dim)`, and its `Config`.
    `forward` does all three; an objective that changes frames in between (masks mel frames, compares features) calls
    the steps itself. Each step keeps this promise: padding never changes the valid frames.
    """

    Config: ClassVar[type[Config]]
    learns_analysis: ClassVar[bool] = True  # False: `analyse` has no weights, so targets may be made of its frames
    learns_features: bool = True  # False: `analyse` and `subsample` have no weights, a penalty is a constant
    analysis_is_normalised: bool = False  # the frames of `analyse` have zero mean and unit variance, about
    statistics_settings: MelSettings | None = None  # stage 6 gathers statistics of such frames; None: none are needed
    normalize: str  # "none", or "utterance": the loader gives each whole utterance zero mean and unit variance
    analysis_geometry: FrameGeometry  # of the frames of `analyse`
    analysis_dim: int  # width of the frames of `analyse`
    geometry: FrameGeometry  # of the frames that come out at the end
    feature_dim: int  # width of the frames of `subsample`
    projection: nn.Linear | None  # None: `project: false`, the objective projects the features itself
    time_norm_geometry: FrameGeometry | None = None  # of what is normalised over the utterance; None: nothing is
    time_norm_correction: int = 0  # taken from the number of frames where its variance is computed
    time_statistics: TimeStatistics | None = None  # set from outside; None: every row has its own

    if TYPE_CHECKING:  # nn.Module's own says nothing about what comes out

        def __call__(self, wavs: Tensor, lengths: Tensor | None) -> Frames: ...

    @abstractmethod
    def analyse(self, wavs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Waveforms to frames.

        Args:
            wavs: (batch, samples).
            lengths: (batch,) valid samples, or None: all samples of all rows.

        Returns:
            (batch, frames, analysis_dim), (batch,) valid frames or None.
        """

    def subsample(self, frames: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Frames of `analyse` to fewer frames; without a subsampler they stay as they are.

        Args:
            frames: (batch, frames in, analysis_dim).
            lengths: (batch,) valid frames in, or None.

        Returns:
            (batch, frames, feature_dim), (batch,) valid frames or None.
        """
        return frames, lengths

    def project(self, features: Tensor) -> Tensor:
        """(batch, frames, feature_dim) -> (batch, frames, encoder dim): normalisation, projection, dropout.

        Raises:
            TypeError: the frontend was built with `project: false`.
        """
        if self.projection is None:
            raise TypeError(f"{type(self).__name__} was built without its projection")
        projected: Tensor = self.dropout(self.projection(self.norm(features)))
        return projected

    def forward(self, wavs: Tensor, lengths: Tensor | None) -> Frames:
        """Encode; without gradients, waveforms of any length in the memory of a piece.

        Args:
            wavs: (batch, samples).
            lengths: (batch,) valid samples, or None: all samples of all rows. Padding never changes the valid frames.
        """
        if needs_pieces(self, wavs):
            projected, features = forward_in_pieces(self, wavs, lengths)
            return Frames(projected, self.output_lengths(lengths), features)
        frames, frame_lengths = self.analyse(wavs, lengths)
        features, feature_lengths = self.subsample(frames, frame_lengths)
        projected = None if self.projection is None else self.project(features)
        return Frames(projected, feature_lengths, features)

    def build_projection(self, dim: int, *, projects: bool, layer_norm: bool, dropout: float) -> None:
        """Make what `project` uses, from `feature_dim` to `dim`; nothing but the dropout if it does not project."""
        self.norm = nn.LayerNorm(self.feature_dim) if projects and layer_norm else nn.Identity()
        self.projection = nn.Linear(self.feature_dim, dim) if projects else None
        self.dropout = nn.Dropout(dropout)

    def before_time_norm(self, wavs: Tensor) -> Tensor:
        """What is normalised over the utterance: (batch, samples) -> (batch, `time_norm_geometry` frames, channels)."""
        raise NotImplementedError(f"{type(self).__name__} normalises nothing over time")

    def set_time_statistics(self, statistics: TimeStatistics | None) -> None:
        """Normalise with these: what follows are parts of one utterance. None: each row with its own, as usual."""
        self.time_statistics = statistics

    @property
    def subsample_geometry(self) -> FrameGeometry:
        """The windows of `subsample`, counted in frames of `analyse` instead of samples."""
        return FrameGeometry(self.geometry.layers[len(self.analysis_geometry.layers) :])

    def set_statistics(self, statistics: MelStatistics) -> None:
        """Take what stage 6 gathered of `statistics_settings` over the training sets."""
        raise NotImplementedError(f"{type(self).__name__} uses no corpus statistics")

    def output_lengths(self, lengths: Tensor | None) -> Tensor | None:
        """(batch,) samples -> (batch,) frames."""
        return None if lengths is None else self.geometry.output_lengths(lengths)
