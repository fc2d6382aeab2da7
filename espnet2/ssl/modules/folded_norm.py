"""A convolution over waveforms and its normalisation over time, as one narrow product whose statistics are exact.

The mean and the variance over time of w . window follow from the mean m and the covariance C of the windows: they are
w . m and w' C w. So nothing of the output's size is made in float32 or read to be normalised: its moments, which are
(kernel x kernel), scale the weights instead.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet2.ssl.modules.formulation import compute_dtype
from espnet2.ssl.modules.lengths import valid_frames

ALIGNMENT = 8  # bf16 values in 16 bytes: what tensor cores load at once


def normalised_convolution(
    wavs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    *,
    stride: int,
    gain: Tensor,
    shift: Tensor,
    eps: float,
) -> Tensor:
    """Convolve, then give every channel of every row zero mean and unit variance over its valid frames.

    Args:
        wavs: (batch, samples).
        weight: (channels, 1, kernel).
        bias: (channels,) of the convolution; it falls out, with a gradient of zero.
        lengths: (batch,) valid frames of the output; None where nothing is padded.
        stride: samples.
        gain, shift: (channels,) applied after the normalisation.
        eps: added to the (biased) variance.

    Returns:
        (batch, frames, channels) in `compute_dtype`; padded frames are finite, and no more than that.
    """
    windows = wavs.unfold(1, weight.size(2), stride)  # (batch, frames, kernel)
    mean, covariance = _moments(windows, valid_frames(lengths, windows.size(1)))
    taps = weight.squeeze(1).double()
    variance = ((taps @ covariance) * taps).sum(-1).clamp(min=0)  # (batch, channels)
    scale = gain * torch.rsqrt(variance + eps)
    # Windows lose the level of their waveform before they are rounded, so that rounding is relative to what is heard.
    level = mean.mean(1, keepdim=True).detach()  # (batch, 1); the result does not depend on it
    output_mean = (mean - level) @ taps.T
    offset = shift - output_mean * scale
    if bias is not None:
        offset = offset + (bias - bias) * scale  # nothing, but a gradient of zero: replicas expect one
    dtype = compute_dtype(wavs)
    matrix = torch.cat([taps * scale[..., None], offset[..., None]], dim=2)  # (batch, channels, kernel + 1)
    rows = F.pad(windows - level[..., None].to(wavs.dtype), (0, 1), value=1.0)
    spare = -rows.size(2) % ALIGNMENT
    rows, matrix = F.pad(rows, (0, spare)), F.pad(matrix, (0, spare))
    return torch.bmm(rows.to(dtype), matrix.to(dtype).transpose(1, 2))


def _moments(windows: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean (batch, kernel) and biased covariance (batch, kernel, kernel) of the valid windows, in float64.

    Float64 because neighbouring samples of speech are almost equal: w' C w cancels most of what it adds up.
    """
    windows = windows.double()
    weighted, count = windows, torch.full((), windows.size(1), dtype=windows.dtype, device=windows.device)
    if valid is not None:
        weighted = windows * valid[..., None]
        count = valid.sum(1).clamp(min=1)[:, None]
    mean = weighted.sum(1) / count
    square = torch.bmm(weighted.transpose(1, 2), windows) / count[..., None]
    return mean, square - mean[:, :, None] * mean[:, None]
