"""What is done to features before k-means: the options that say it, checked; they are part of the k-means' card."""

from dataclasses import dataclass, fields

from espnet2.utils.errors import UserError

NONE, UTTERANCE_MEAN, UTTERANCE_MEAN_VARIANCE = "none", "utterance-mean", "utterance-mean-variance"
SPEAKER_MEAN, SPEAKER_MEAN_VARIANCE = "speaker-mean", "speaker-mean-variance"
NORMALIZATIONS = (NONE, UTTERANCE_MEAN, UTTERANCE_MEAN_VARIANCE, SPEAKER_MEAN, SPEAKER_MEAN_VARIANCE)


@dataclass(frozen=True)
class TransformOptions:
    """In the order of the work: normalise, rotate (PCA) or whiten, smooth. The defaults do nothing.

    Smoothing comes last: whitened directions that vary fast from frame to frame then weigh less than slow ones.

    Raises:
        UserError: a value that makes no sense.
    """

    normalize: str = NONE  # one of NORMALIZATIONS: what is taken away from every dimension
    smooth_frames: int = 1  # the moving mean over so many frames, centred: an odd number
    pca_dim: int = 0  # principal components that are kept, with their variances; 0: no PCA
    whiten_dim: int = 0  # the same, each scaled to variance 1; 0: no whitening

    def __post_init__(self) -> None:
        if self.normalize not in NORMALIZATIONS:
            raise UserError(f"--normalize {self.normalize}: unknown; known are {', '.join(NORMALIZATIONS)}")
        if self.smooth_frames < 1 or self.smooth_frames % 2 == 0:
            raise UserError(
                f"--smooth_frames {self.smooth_frames}: expected an odd number of frames, so that the mean has a "
                "middle: 1 (no smoothing), 3, 5, ..."
            )
        for name in ("pca_dim", "whiten_dim"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name} {getattr(self, name)}: expected a number of dimensions, or 0 for none")
        if self.pca_dim and self.whiten_dim:
            raise UserError(
                f"--pca_dim {self.pca_dim} --whiten_dim {self.whiten_dim}: whitening is a PCA whose components are "
                "scaled to variance 1; give one of the two"
            )

    @property
    def is_of_speakers(self) -> bool:
        """Whether the features of other utterances of a speaker must be known."""
        return self.normalize in (SPEAKER_MEAN, SPEAKER_MEAN_VARIANCE)

    @property
    def scales(self) -> bool:
        """Whether the standard deviation is divided by."""
        return self.normalize in (UTTERANCE_MEAN_VARIANCE, SPEAKER_MEAN_VARIANCE)

    @property
    def projected_dim(self) -> int:
        """Dimensions behind PCA or whitening; 0 where there is neither."""
        return self.pca_dim or self.whiten_dim

    @property
    def changed(self) -> dict[str, str | int]:
        """The options that do something: none of them is written down or hashed where it does nothing."""
        return {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if getattr(self, option.name) != option.default
        }

    def check_width(self, width: int, features: str) -> None:
        """Refuse to keep more dimensions than there are.

        Args:
            width: values of a frame, those of all joined layers.
            features: what they are, for the message.

        Raises:
            UserError: PCA or whitening to more than that.
        """
        if self.projected_dim > width:
            name = "pca_dim" if self.pca_dim else "whiten_dim"
            raise UserError(
                f"--{name} {self.projected_dim}: a frame of {features} has only {width} values; keep at most so many"
            )

    def describe(self) -> str:
        """For messages; empty where nothing is done."""
        parts = [] if self.normalize == NONE else [f"{self.normalize} removed"]
        parts += [f"PCA to {self.pca_dim}"] if self.pca_dim else []
        parts += [f"whitened to {self.whiten_dim}"] if self.whiten_dim else []
        parts += [f"mean of {self.smooth_frames} frames"] if self.smooth_frames > 1 else []
        return ", ".join(parts)


TRANSFORM_FIELDS = tuple(option.name for option in fields(TransformOptions))
