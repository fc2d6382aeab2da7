"""A device in, the kernels that scaled dot-product attention may use there, in their order, out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

HOPPER = (9, 0)
# cuDNN's attention is 1.7 to 2.3 times as fast there as FlashAttention 2 (huggingface/transformers, pull 48163).
ON_HOPPER = (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
ELSEWHERE = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)  # a mask or a bias leaves the second


def attention_backends(device: torch.device) -> tuple[SDPBackend, ...]:
    """Kernels in the order of preference; none where PyTorch may choose (a CPU).

    The math kernel is never among them: it makes (frames x frames) tensors of every head, several times.
    """
    if device.type != "cuda":
        return ()
    return ON_HOPPER if torch.cuda.get_device_capability(device) == HOPPER else ELSEWHERE


def attends_in_float32(query: Tensor) -> bool:
    """Whether bf16 is widened for attention: a CPU's backward pass takes three times as long in bf16 as in fp32."""
    return query.device.type == "cpu" and query.dtype == torch.bfloat16


@contextmanager
def fused_attention(device: torch.device) -> Iterator[None]:
    """Inside, attention on that device takes the first of `attention_backends` that can compute it, whatever PyTorch's
    version would choose. Where none can, PyTorch raises an error and says why for each by its name.
    """
    backends = attention_backends(device)
    if not backends:
        yield
        return
    with sdpa_kernel(list(backends), set_priority=True):
        yield
