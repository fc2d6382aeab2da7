"""Kernels in, seconds on a GPU out: a model of bytes and FLOPs with guessed shares of the ceilings, calibrated.

A kernel takes as long as its FLOPs or its bytes, whichever is longer, at the share of the ceiling that kernels of its
kind reach; never less than the gap between two launches. The shares are guesses, so there are two sets: hoped, what
published benchmarks of an H100 reach, and sober, what such kernels reach on a bad day. The sober figure is still too
fast by 1.48 for NVIDIA's wav2vec 2.0 Base (DeepLearningExamples, one A100, bf16, 37,610 frames per s) and by 1.74 for
minimal_hubert (1,940 s of audio per s and H100): hence `CALIBRATION`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from traced_kernels import Kernel

Kind = Literal["gemm", "attention", "attention_backward", "conv", "conv_narrow", "conv_grouped", "norm", "pointwise"]
CALIBRATION = 1.5  # sober seconds of others' published trainings have to be multiplied by it


@dataclass(frozen=True)
class Machine:
    """Ceilings that were measured on such a device."""

    name: str
    bf16_flops: float  # per s, of a product of 8192 x 8192 matrices
    fp32_flops: float  # per s, without TF32
    bytes_per_second: float  # of a copy, reads and writes counted
    # Not measured: 132 multiprocessors start 4 instructions of a warp per cycle of 1.7 GHz.
    instructions_per_second: float = 132 * 4 * 1.7e9


H200 = Machine("H200", 788e12, 52e12, 4.3e12)


@dataclass(frozen=True)
class Shares:
    """What kernels reach of the ceilings; `launch` is the shortest kernel with its gap, in s."""

    gemm: float
    attention: float
    attention_backward: float
    conv: float
    conv_narrow: float
    conv_grouped: float
    norm: float  # of the bytes
    pointwise: float  # of the bytes, and of those of everything else
    launch: float
    instructions: float = 0.6


HOPED = Shares(0.72, 0.60, 0.45, 0.50, 0.08, 0.10, 0.75, 0.88, 2.5e-6, 0.75)
SOBER = Shares(0.60, 0.45, 0.33, 0.30, 0.01, 0.03, 0.55, 0.75, 4.0e-6, 0.50)


def kind(kernel: Kernel) -> Kind:
    """What limits it."""
    name = kernel.name
    if "scaled_dot_product" in name or "own_attention" in name or "flex_attention" in name:
        return "attention_backward" if "backward" in name else "attention"
    if name.startswith("convolution"):
        if kernel.groups > 1:
            return "conv_grouped"
        return "conv_narrow" if kernel.narrow else "conv"
    if kernel.flops:
        return "gemm"
    return "norm" if "norm" in name and not name.startswith("_foreach") else "pointwise"


def kernel_seconds(kernel: Kernel, shares: Shares, machine: Machine = H200) -> float:
    """Of one kernel."""
    what = kind(kernel)
    arithmetic = 0.0
    if kernel.flops:
        share = getattr(shares, what)
        half = kernel.dtype in ("bfloat16", "float16")
        # Without tensor cores plain products reach 0.8 of the ceiling; other kinds lose as much as they do in bf16.
        rate = machine.bf16_flops * share if half else machine.fp32_flops * 0.8 * min(1.0, share / shares.gemm)
        arithmetic = kernel.flops / rate
    arithmetic = max(arithmetic, kernel.instructions / (machine.instructions_per_second * shares.instructions))
    # cuDNN computes bf16 convolutions with the channels innermost: it converts tensors there and back.
    moved = kernel.bytes * (2 if what in ("conv", "conv_grouped") else 1)
    share = shares.norm if what == "norm" else shares.pointwise
    return max(arithmetic, moved / (machine.bytes_per_second * share), shares.launch)


def seconds(kernels: Iterable[Kernel], shares: Shares, machine: Machine = H200) -> float:
    """Of all, one after the other."""
    return sum(kernel_seconds(kernel, shares, machine) for kernel in kernels)
