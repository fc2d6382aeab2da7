"""Features of an utterance in, what k-means sees of them out: layers joined, normalised, rotated, smoothed."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.units.transform import NONE, TransformOptions
from espnet2.utils.errors import UserError

# Of the largest variance: what float32 frames leave of a direction in which nothing varies is below 1e-13 of it.
RANK_TOLERANCE = 1e-10
FIT_CHUNK_FRAMES = 8192  # float64 copies of so many frames at a time

OpenParts = Callable[[], Iterator[Tensor]]  # (layers, frames, dim) of one utterance, part after part, from its start


class Projection(NamedTuple):
    """A rotation that was fitted: (frame - mean) @ matrix.T."""

    mean: Tensor  # (dim,) float32
    matrix: Tensor  # (kept, dim) float32


class FrameStatistics(NamedTuple):
    """Of the frames of one utterance, or of one speaker."""

    mean: Tensor  # (dim,) float32
    deviation: Tensor  # (dim,) float32, floored


class FrameTransform:
    """The work of `TransformOptions` on whole utterances; without options and with one layer, frames stay as they are.

    Args:
        projection: of PCA or whitening; None while it is still to be fitted.
    """

    def __init__(self, options: TransformOptions, projection: Projection | None = None) -> None:
        self.options, self.projection = options, projection

    def to(self, device: torch.device | str) -> "FrameTransform":
        """The same on another device."""
        moved = self.projection and Projection(self.projection.mean.to(device), self.projection.matrix.to(device))
        return FrameTransform(self.options, moved)

    def __call__(self, features: Tensor, speaker: FrameStatistics | None = None) -> Tensor:
        """(layers, frames, dim) of a whole utterance -> (frames, kept); the speaker as for `stream`."""
        return torch.cat(list(self.stream(lambda: iter([features]), speaker)))

    def stream(self, open_parts: OpenParts, speaker: FrameStatistics | None = None) -> Iterator[Tensor]:
        """The parts of one utterance -> (frames, kept), part after part; their borders may lie elsewhere.

        Args:
            open_parts: called twice where the whole utterance must be known before its first frame can be normalised.
            speaker: of its speaker, where the options ask for that.

        Raises:
            UserError: the options ask for the speaker, and there is none.
        """
        projected = (self.project(part) for part in self.normalised(open_parts, speaker))
        return smooth_parts(projected, self.options.smooth_frames)

    def normalised(self, open_parts: OpenParts, speaker: FrameStatistics | None = None) -> Iterator[Tensor]:
        """The parts of one utterance -> (frames, layers * dim); the speaker as for `stream`."""
        if self.options.normalize == NONE:
            yield from map(join_layers, open_parts())
            return
        if self.options.is_of_speakers:
            if speaker is None:
                raise UserError(
                    f"this k-means takes away what its card calls {self.options.normalize}, which single utterances do "
                    "not tell: label a set with its utt2spk (ssl_kmeans_labels, ssl_dump_labels)"
                )
            statistics = speaker
        else:
            statistics = frame_statistics(map(join_layers, open_parts()))
        for part in map(join_layers, open_parts()):
            statistics = FrameStatistics(statistics.mean.to(part.device), statistics.deviation.to(part.device))
            centred = part - statistics.mean
            yield centred / statistics.deviation if self.options.scales else centred

    def project(self, frames: Tensor) -> Tensor:
        """(frames, dim) -> (frames, kept); the same frames where nothing is fitted."""
        if self.projection is None:
            return frames
        return (frames - self.projection.mean) @ self.projection.matrix.T


def join_layers(features: Tensor) -> Tensor:
    """(layers, frames, dim) -> (frames, layers * dim)."""
    return features[0] if len(features) == 1 else features.transpose(0, 1).flatten(1)


class RunningStatistics:
    """Mean and (biased) standard deviation over frames that come in parts; summed in float64."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, frames: Tensor) -> None:
        """(frames, dim)"""
        if len(frames) == 0:
            return
        variance, mean = torch.var_mean(frames.double(), 0, correction=0)
        total = self.count + len(frames)  # of two parts as of one: Chan, Golub and LeVeque 1983, equation 2.1
        shift = mean - self.mean if self.count else mean
        before = self.squares + shift.square() * (self.count * len(frames) / total) if self.count else 0
        self.squares = variance * len(frames) + before
        self.mean = self.mean + shift * (len(frames) / total) if self.count else mean
        self.count = total

    def result(self) -> FrameStatistics:
        """Of all frames so far."""
        deviation = (self.squares / max(self.count, 1) + VARIANCE_FLOOR).sqrt()
        return FrameStatistics(self.mean.float(), deviation.float())


def frame_statistics(parts: Iterable[Tensor]) -> FrameStatistics:
    """Of all frames of all parts, each (frames, dim)."""
    running = RunningStatistics()
    for part in parts:
        running.add(part)
    return running.result()


def moving_mean(frames: Tensor, width: int) -> Tensor:
    """(frames, dim) -> (frames, dim): the mean of `width` frames around each, at the ends of those that are there.

    >>> moving_mean(torch.tensor([[0.0], [3.0], [6.0], [0.0]]), 3)[:, 0].tolist()
    [1.5, 3.0, 3.0, 3.0]
    """
    if width == 1 or len(frames) == 0:
        return frames
    means = F.avg_pool1d(frames.T[None], width, stride=1, padding=width // 2, count_include_pad=False)
    return means[0].T.contiguous()


def smooth_parts(parts: Iterator[Tensor], width: int) -> Iterator[Tensor]:
    """The moving mean over parts of one utterance, each (frames, dim), as over the whole."""
    if width == 1:
        yield from parts
        return
    half, lead = width // 2, 0  # of what is held, the first `lead` frames are out already
    held: Tensor | None = None
    for part in parts:
        held = part if held is None else torch.cat([held, part])
        ready = len(held) - half
        if ready > lead:
            yield moving_mean(held, width)[lead:ready]
            held, lead = held[max(0, ready - half) :], min(ready, half)
    if held is not None:
        yield moving_mean(held, width)[lead:]


def fit_projection(frames: Tensor, options: TransformOptions) -> Projection:
    """The principal components of a sample of frames, for `whiten_dim` scaled to variance 1.

    Fixed by the frames and their order: sums run in float64 over chunks of one size, and of the two signs of a
    component the one is taken that makes its largest weight positive.

    Args:
        frames: (frames, dim) float32, normalised, not smoothed.

    Raises:
        UserError: the frames vary in fewer directions than are to be kept, or are not finite.
    """
    options.check_width(frames.size(1), "these features")
    mean = sum((chunk.double().sum(0) for chunk in frames.split(FIT_CHUNK_FRAMES)), torch.zeros(())) / len(frames)
    if not mean.isfinite().all():
        raise UserError("PCA: some features are nan or inf; the teacher has diverged or the audio is bad")
    covariance = torch.zeros(frames.size(1), frames.size(1), dtype=torch.float64)
    for chunk in frames.split(FIT_CHUNK_FRAMES):
        centred = chunk.double() - mean
        covariance.addmm_(centred.T, centred)
    variances, directions = torch.linalg.eigh(covariance / len(frames))  # ascending
    variances, directions = variances.flip(0), directions.flip(1).T
    rank = int((variances > RANK_TOLERANCE * variances[0].clamp(min=torch.finfo(torch.float64).tiny)).sum())
    if rank < options.projected_dim:
        raise UserError(
            f"the {len(frames):,} frames of the sample vary in {rank} directions only, fewer than the "
            f"{options.projected_dim} that are to be kept; give more data (--portion) or keep fewer"
        )
    kept = directions[: options.projected_dim]
    largest = kept.gather(1, kept.abs().argmax(1, keepdim=True))
    kept = kept * largest.sign()
    if options.whiten_dim:
        kept = kept / variances[: options.projected_dim, None].sqrt()
    return Projection(mean.float(), kept.float().contiguous())
