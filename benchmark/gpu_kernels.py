"""A size and a device in; times of the convolutions in three layouts and of attention's back ends out."""

from dataclasses import dataclass

import torch
from gpu_layouts import LAYOUTS, Convolution
from gpu_timing import forward_and_backward_ms
from gpu_training import TINY, Size
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

STRIDES = ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2)  # kernel, stride: HuBERT's frontend
BACKENDS = {
    "chosen by PyTorch": None,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
DROPOUT = 0.1  # of attention in HuBERT Base; it decides which kernels are possible
MASKS = ("none", "padding", "bias")


@dataclass(frozen=True)
class KernelTime:
    """One measurement, or why there is none."""

    what: str  # convolution, or mask
    how: str  # layout, or back end
    forward_ms: float | None = None
    backward_ms: float | None = None
    difference: float | None = None  # from the first layout, as a share of its largest value
    error: str | None = None


def convolutions(size: Size) -> list[Convolution]:
    """The eight of HuBERT: seven of the frontend, one of the positions."""
    shapes, frames, inputs = [], size.num_samples, 1
    for number, (kernel, stride) in enumerate(STRIDES):
        shape = Convolution(f"frontend {number}", inputs, size.channels, kernel, stride, 0, 1, frames, number > 0)
        shapes.append(shape)
        frames, inputs = (frames - kernel) // stride + 1, size.channels
    kernel = size.position_kernel
    position = Convolution("positions", size.dim, size.dim, kernel, 1, kernel // 2, size.position_groups, frames, True)
    return [*shapes, position]


def time_convolutions(size: Size, device: torch.device) -> list[KernelTime]:
    """Forward and backward of each convolution in each layout, in bf16 (fp32 for the tiny size)."""
    dtype = torch.float32 if size is TINY else torch.bfloat16
    return [row for shape in convolutions(size) for row in _time_layouts(shape, size.batch_size, device, dtype)]


def _time_layouts(shape: Convolution, batch_size: int, device: torch.device, dtype: torch.dtype) -> list[KernelTime]:
    torch.manual_seed(0)
    values = torch.randn(batch_size, shape.inputs, shape.frames, device=device, dtype=dtype)
    scale = (shape.inputs // shape.groups * shape.kernel) ** -0.5
    weight = scale * torch.randn(shape.outputs, shape.inputs // shape.groups, shape.kernel, device=device, dtype=dtype)
    rows, reference = [], None
    for name, (layout, as_channels_first) in LAYOUTS.items():
        try:
            forward, leaves = layout(shape, values, weight)
            with torch.no_grad():
                output = as_channels_first(forward())
            reference = output if reference is None else reference
            difference = ((output - reference).abs().max() / reference.abs().max()).item()
            del output
            times = forward_and_backward_ms(forward, leaves, device)
            rows.append(KernelTime(shape.name, name, *times, difference))
        except RuntimeError as error:  # no such kernel, or no memory
            rows.append(KernelTime(shape.name, name, error=first_line(error)))
    return rows


def time_attention(size: Size, device: torch.device) -> list[KernelTime]:
    """Forward and backward of scaled_dot_product_attention: back ends without and with a mask, and with a bias.

    The padding mask is boolean, (batch, 1, 1, frames); the bias is (1, heads, frames, frames) and learnt, as in WavLM.
    """
    dtype = torch.float32 if size is TINY else torch.bfloat16
    frames = convolutions(size)[-1].frames
    return [row for mask in MASKS for row in _time_backends(mask, size, frames, device, dtype)]


def _time_backends(mask: str, size: Size, frames: int, device: torch.device, dtype: torch.dtype) -> list[KernelTime]:
    shape = (size.batch_size, size.num_heads, frames, size.dim // size.num_heads)
    leaves = [torch.randn(shape, device=device, dtype=dtype, requires_grad=True) for _ in range(3)]
    attend_to = None
    if mask == "padding":
        attend_to = torch.ones(size.batch_size, 1, 1, frames, device=device, dtype=torch.bool)
        attend_to[0, ..., frames - frames // 4 :] = False
    elif mask == "bias":
        attend_to = torch.randn(1, size.num_heads, frames, frames, device=device, dtype=dtype, requires_grad=True)
    inputs = leaves if mask != "bias" else [*leaves, attend_to]

    def attend() -> Tensor:
        return F.scaled_dot_product_attention(*leaves, attn_mask=attend_to, dropout_p=DROPOUT)

    rows = []
    for name, backend in BACKENDS.items():
        try:
            if backend is None:
                times = forward_and_backward_ms(attend, inputs, device)
            else:
                with sdpa_kernel(backend):
                    times = forward_and_backward_ms(attend, inputs, device)
            rows.append(KernelTime(mask, name, *times))
        except RuntimeError as error:
            rows.append(KernelTime(mask, name, error=first_line(error)))
    return rows


def first_line(error: Exception) -> str:
    """What an error says, short."""
    return str(error).strip().split("\n")[0][:160] or type(error).__name__
