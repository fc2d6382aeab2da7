"""A size and a device in; times and errors of attention with biases as tensors and inside our kernel, out."""

import torch
from gpu_kernels import DROPOUT, KernelTime, convolutions, first_line
from gpu_timing import forward_and_backward_ms
from gpu_training import TINY, Size
from torch import Tensor, nn

from espnet2.ssl.modules.alibi import Alibi
from espnet2.ssl.modules.attention import AttentionPosition, SelfAttention
from espnet2.ssl.modules.attention_backend import fused_attention
from espnet2.ssl.modules.gated_relative import BucketTable, PositionGate
from espnet2.ssl.modules.position import frame_offsets
from espnet2.ssl.modules.position_kernel import kernel_position, runs_kernel
from espnet2.utils.errors import UserError

POSITIONS = ("gated_relative", "alibi")
KERNELS = ("sdpa", "triton")


class Attention(nn.Module):
    """One layer's attention with what all layers share of its positions, as WavLM and data2vec 2.0 Base have them."""

    def __init__(self, position: str, size: Size) -> None:
        super().__init__()
        is_gated = position == "gated_relative"
        dim, heads = size.dim, size.num_heads
        self.shared = BucketTable(heads, 320, 800) if is_gated else Alibi(heads, learned_scale=True)
        self.attention = SelfAttention(dim, heads, DROPOUT, PositionGate(dim, heads) if is_gated else None)

    def prepare(self, x: Tensor, kernel: str) -> tuple[Tensor | None, AttentionPosition | None]:
        """Mask and position of all layers."""
        if kernel == "triton":
            return None, kernel_position(self.shared, None, x.size(1), None, 0)
        bias = self.shared(frame_offsets(x.size(1), None, x.device), x.size(1), 0)
        return (bias, None) if self.attention.position is None else (None, bias)


def time_positions(size: Size, device: torch.device) -> list[KernelTime]:
    """Forward and backward of one layer, in bf16 (fp32 for the tiny size), with dropout.

    The backward pass is with that of what all layers share. The difference is the largest one of output and gradients,
    without dropout, from those in float32 with a bias as a tensor; each as a share of the largest value.
    """
    rows = []
    for position in POSITIONS:
        torch.manual_seed(0)
        model = Attention(position, size).to(device)
        x = torch.randn(size.batch_size, convolutions(size)[-1].frames, size.dim, device=device, requires_grad=True)
        exact = _results(model.eval(), x, "sdpa")
        for kernel in KERNELS:
            try:
                with fused_attention(device), torch.autocast(device.type, torch.bfloat16, enabled=size is not TINY):
                    rows.append(_time_kernel(model, x, position, kernel, exact))
            except (RuntimeError, UserError) as error:
                rows.append(KernelTime(position, kernel, error=first_line(error)))
    return rows


def _time_kernel(model: Attention, x: Tensor, position: str, kernel: str, exact: list[Tensor]) -> KernelTime:
    if kernel == "triton" and not runs_kernel(x.device):
        raise RuntimeError(f"Triton's kernels are for CUDA, not for {x.device.type}")
    pairs = zip(_results(model.eval(), x, kernel), exact, strict=True)
    difference = max(((ours.float() - other).abs().max() / other.abs().max()).item() for ours, other in pairs)
    mask, shared = model.train().prepare(x, kernel)
    leaves = [x, *model.parameters()]
    times = forward_and_backward_ms(lambda: model.attention(x, mask, shared), leaves, x.device)
    return KernelTime(position, kernel, *times, difference)


def _results(model: Attention, x: Tensor, kernel: str) -> list[Tensor]:
    """The output, and the gradients of its sum of squares."""
    output = model.attention(x, *model.prepare(x, kernel))
    return [output.detach(), *torch.autograd.grad(output.float().square().sum(), [x, *model.parameters()])]
