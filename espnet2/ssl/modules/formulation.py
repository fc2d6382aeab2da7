"""Which of two ways to write the same function a device gets: what a CPU or what CUDA computes faster."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_forced: bool | None = None


def wants_cuda_formulation(x: Tensor) -> bool:
    """Whether what follows from x is computed as CUDA likes it: x is there, or a test wants it."""
    return x.device.type == "cuda" if _forced is None else _forced


@contextmanager
def formulated_for_cuda(choice: bool | None) -> Iterator[None]:
    """Inside, compute on every device as on CUDA (True), as on a CPU (False), or by device (None)."""
    global _forced
    before, _forced = _forced, choice
    try:
        yield
    finally:
        _forced = before
