"""The guard against weights that are not numbers."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from espnet2.utils.errors import UserError


def check_numbers(weights: Mapping[str, Tensor], where: str | Path) -> None:
    """Raises UserError where a value is nan or inf."""
    wrong = [name for name, value in weights.items() if value.is_floating_point() and not is_finite(value)]
    if wrong:
        more = f" and {len(wrong) - 1} more weights" if len(wrong) > 1 else ""
        raise UserError(
            f"{where}: {wrong[0]}{more} have values that are nan or inf: the training diverged, or the file is "
            "damaged; take an earlier checkpoint"
        )


def is_finite(value: Tensor) -> bool:
    """Whether all values are numbers; one sum tells it of nearly all tensors, without a mask of their size."""
    return bool(torch.isfinite(value.sum(dtype=torch.float64))) or bool(torch.isfinite(value).all())
