"""A frontend's forward pass over waveforms too long for one: piece by piece, with statistics of the whole."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.modules.mel_statistics import MelStatistics
from espnet2.ssl.modules.norm import TimeStatistics

WHOLE_SECONDS = 60.0  # longer rows are cut: the first of seven convolutions gives 3,200 frames a second
PIECE_SECONDS = 30.0
STATISTICS_SECONDS = 5.0  # of the first pass, for what is normalised over the utterance, at a time


class PieceFrames(Protocol):
    """What one piece gives."""

    @property
    def projected(self) -> Tensor | None: ...  # (1, frames, width)

    @property
    def features(self) -> Tensor: ...  # (1, frames, feature_dim)


class CutFrontend(Protocol):
    """What is used of a frontend here; `Frontend` says what each member means."""

    @property
    def geometry(self) -> FrameGeometry: ...

    @property
    def time_norm_geometry(self) -> FrameGeometry | None: ...

    @property
    def time_norm_correction(self) -> int: ...

    @property
    def time_statistics(self) -> TimeStatistics | None: ...

    @property
    def projection(self) -> nn.Linear | None: ...

    @property
    def feature_dim(self) -> int: ...

    def set_time_statistics(self, statistics: TimeStatistics | None) -> None: ...

    def before_time_norm(self, wavs: Tensor) -> Tensor: ...

    def forward(self, wavs: Tensor, lengths: Tensor | None) -> PieceFrames: ...


def needs_pieces(frontend: CutFrontend, wavs: Tensor) -> bool:
    """Whether (batch, samples) are so long that they are cut; never where gradients flow."""
    return not torch.is_grad_enabled() and wavs.size(1) > WHOLE_SECONDS * frontend.geometry.sample_rate


def forward_in_pieces(frontend: CutFrontend, wavs: Tensor, lengths: Tensor | None) -> tuple[Tensor | None, Tensor]:
    """Row by row and piece by piece: frames depend on their own samples, and on statistics of the whole row.

    Args:
        wavs: (batch, samples).
        lengths: (batch,) samples, or None.

    Returns:
        `projected` and `features` of `Frames`; frames behind the end of a row are zero.
    """
    num_frames = frontend.geometry.output_lengths(wavs.size(1))
    width = 0 if frontend.projection is None else frontend.projection.out_features
    projected = wavs.new_zeros(len(wavs), num_frames, width)
    features = wavs.new_zeros(len(wavs), num_frames, frontend.feature_dim)
    for row, wav in enumerate(wavs):
        _fill(frontend, wav if lengths is None else wav[: lengths[row]], projected[row], features[row])
    return (projected if width else None), features


def _fill(frontend: CutFrontend, wav: Tensor, projected: Tensor, features: Tensor) -> None:
    """(samples,) -> into (frames or more, width) and (frames or more, feature_dim)."""
    given = frontend.time_statistics  # of the whole utterance, where this row is a part of it
    if given is None:
        frontend.set_time_statistics(time_statistics(frontend, wav))
    try:
        for first, piece in cut(wav, frontend.geometry, PIECE_SECONDS):
            frames = frontend.forward(piece[None], None)
            kept = slice(first, first + frames.features.size(1))
            features[kept] = frames.features[0]
            if frames.projected is not None:
                projected[kept] = frames.projected[0]
    finally:
        frontend.set_time_statistics(given)


def time_statistics(frontend: CutFrontend, wav: Tensor, device: torch.device | None = None) -> TimeStatistics | None:
    """Of a whole waveform, for the pieces it is cut into; None where the frontend normalises nothing over time.

    Args:
        wav: (samples,), possibly mapped from a file: a few seconds are looked at at a time.
        device: of the frontend; None: that of `wav`.
    """
    geometry = frontend.time_norm_geometry
    if geometry is None:
        return None
    total: MelStatistics | None = None
    for _, piece in cut(wav, geometry, STATISTICS_SECONDS):
        statistics = MelStatistics.of(frontend.before_time_norm(piece[None].to(device or wav.device))[0].cpu())
        total = statistics if total is None else total.merged(statistics)
    if total is None:
        return None
    divisor = max(total.num_frames - frontend.time_norm_correction, 1)
    moments = (torch.from_numpy(moment)[None, None] for moment in (total.mean, total.square / divisor))
    return TimeStatistics(*(moment.float().to(device or wav.device) for moment in moments))


def cut(wav: Tensor, geometry: FrameGeometry, seconds: float) -> Iterator[tuple[int, Tensor]]:
    """Number of the first frame and samples of each piece; the frames of all pieces are those of the whole."""
    num_frames, step = geometry.output_lengths(len(wav)), round(seconds * geometry.frame_rate)
    for first in range(0, num_frames, step):
        begin = first * geometry.hop_samples
        yield first, wav[begin : begin + geometry.num_samples(min(step, num_frames - first))]
