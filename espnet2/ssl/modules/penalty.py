"""The penalty that keeps the scale of learned features down: their mean square."""

from torch import Tensor

from espnet2.ssl.modules.lengths import valid_frames


def mean_square(features: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean over valid frames and channels of the squared features, in float32.

    Args:
        features: (batch, frames, channels).
        lengths: (batch,) valid frames; None where nothing is padded.
    """
    square = features.float().square()
    valid = valid_frames(lengths, features.size(1))
    if valid is None:
        return square.mean()
    return (square.mean(-1) * valid).sum() / valid.sum()
