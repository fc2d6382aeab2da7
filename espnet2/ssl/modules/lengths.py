"""The rules of padding: which frames are valid, and per-frame tensors cut or filled to fit."""

import torch
from torch import Tensor
from torch.nn import functional as F


def valid_frames(lengths: Tensor | None, num_frames: int) -> Tensor | None:
    """Which frames are not padding.

    Args:
        lengths: (batch,) valid frames, or None where all frames of all rows are valid.

    Returns:
        (batch, num_frames) bool, or None where nothing is padded (known without a device synchronisation: from None,
        or by looking at lengths that live on the host; a compiled graph looks at no value).
    """
    if lengths is None:
        return None
    if not torch.compiler.is_compiling() and lengths.device.type == "cpu" and bool((lengths >= num_frames).all()):
        return None
    return torch.arange(num_frames, device=lengths.device) < lengths[:, None]


def zero_padding(x: Tensor, valid: Tensor | None) -> Tensor:
    """(batch, frames, dim) with the padded frames set to zero."""
    return x if valid is None else x.masked_fill(~valid[..., None], 0)


def fit_frames(x: Tensor, num_frames: int, value: float) -> Tensor:
    """(batch, frames, ...) cut, or padded with `value`, to (batch, num_frames, ...)."""
    further_axes = (0, 0) * (x.dim() - 2)
    return F.pad(x, (*further_axes, 0, num_frames - x.size(1)), value=value)
