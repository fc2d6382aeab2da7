"""Which of two ways to write the same function a device gets: what a CPU or what CUDA computes faster."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_forced: bool | None = None


def wants_cuda_formulation(x: Tensor) -> bool:
    """Whether what follows from x is computed as CUDA likes it: x is there, or a test wants it.

    A CPU that computes in bf16 likes it, too: its units multiply matrices. A HuBERT of mini and of Base size then takes
    0.87 and 0.90 of the time (one core, `benchmark/cpu.py`).
    """
    if _forced is not None:
        return _forced
    return x.device.type == "cuda" or (x.device.type == "cpu" and compute_dtype(x) == torch.bfloat16)


def graph_without_convolutions(x: Tensor) -> bool:
    """Whether x becomes part of a graph that CUDA will compute, in which convolutions have to be written otherwise.

    Inductor (2.13) takes the strides of a convolution's gradient for constants: a graph for each number of frames.
    """
    return torch.compiler.is_compiling() and wants_cuda_formulation(x)


def compute_dtype(x: Tensor) -> torch.dtype:
    """What a product of x is computed in: autocast's type where it is on."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


@contextmanager
def formulated_for_cuda(choice: bool | None) -> Iterator[None]:
    """Inside, compute on every device as on CUDA (True), as on a CPU (False), or by device (None)."""
    global _forced
    before, _forced = _forced, choice
    try:
        yield
    finally:
        _forced = before
