"""How a trained model computes where only its features or units are asked for: float32, or faster and coarser."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from espnet2.utils.device import BFLOAT16, FLOAT32, TF32
from espnet2.utils.errors import UserError


def check_dtype(dtype: str, device: str) -> None:
    """Refuse what the device does not have.

    Raises:
        UserError: TensorFloat-32 without a GPU.
    """
    if dtype == TF32 and not device.startswith("cuda"):
        raise UserError(f"--dtype {TF32} is of GPUs: with --device {device}, take {FLOAT32} or {BFLOAT16}")


@contextmanager
def computing_in(dtype: str, device: torch.device) -> Iterator[None]:
    """Around a forward pass: products in bfloat16 (autocast), or rounded to TensorFloat-32; what comes out is cast."""
    before = torch.get_float32_matmul_precision()
    if dtype == TF32:
        torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == BFLOAT16):
            yield
    finally:
        if dtype == TF32:
            torch.set_float32_matmul_precision(before)
