"""A CPU's fake tensors computed with as CUDA would: the types of its autocast, its fused attention and dropout.

FakeTensorMode runs a model of any size without computing anything. It needs no CUDA build for tensors that say they are
on a CPU; what CUDA does otherwise is put in place here, while a trace runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet2.ssl.modules import attention

# What autocast computes in float32 on CUDA (aten/src/ATen/autocast_mode.h, AT_FORALL_FP32), where models here use it.
FLOAT32 = (
    "layer_norm native_layer_norm group_norm softmax.int log_softmax.int exp expm1 log log1p log2 reciprocal rsqrt "
    "pow.Tensor_Scalar pow.Tensor_Tensor softplus norm.Scalar norm.ScalarOpt_dim linalg_vector_norm logsumexp "
    "cosine_similarity nll_loss nll_loss_nd mse_loss l1_loss smooth_l1_loss huber_loss kl_div dist cdist cumsum "
    "cumprod prod sum sum.dim_IntList binary_cross_entropy_with_logits"
).split()
AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)


@contextmanager
def as_cuda() -> Iterator[None]:
    """Inside, `torch.autocast("cpu", torch.bfloat16)` and attention choose as on CUDA."""
    library = torch.library.Library("aten", "IMPL")
    for name in FLOAT32:
        if not torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "AutocastCPU"):
            library.impl(name, _in_float32(name), "AutocastCPU")
    with (
        mock.patch.object(F, "scaled_dot_product_attention", attend),
        mock.patch.object(F, "dropout", drop),
        mock.patch.object(attention, "attends_in_float32", lambda query: False),
    ):
        try:
            yield
        finally:
            library._destroy()


def _in_float32(name: str) -> object:
    packet, _, overload = name.partition(".")
    operator = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def compute(*args: object, **kwargs: object) -> object:
        with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
            return operator(*map(_widened, args), **{key: _widened(value) for key, value in kwargs.items()})

    return compute


def _widened(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16):
        return value.float()
    return value


def drop(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`F.dropout`, which CUDA computes in one kernel."""
    dropped: Tensor = torch.native_dropout(x, p, True)[0] if training and p > 0 else x
    return dropped


def attend(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0
) -> Tensor:
    """`F.scaled_dot_product_attention` with flash attention, or the memory-efficient kernel where there is a mask."""
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (x.to(torch.get_autocast_dtype("cpu")) for x in (query, key, value))
    attended: Tensor
    if attn_mask is None:
        attended = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, dropout_p)[0]
        return attended
    bias = attn_mask
    if bias.dtype == torch.bool:
        bias = torch.zeros_like(bias, dtype=query.dtype).masked_fill_(~bias, float("-inf"))
    bias = _aligned(bias.to(query.dtype)).expand(*query.shape[:3], key.size(2))
    wants_gradient = torch.is_grad_enabled()
    efficient = torch.ops.aten._scaled_dot_product_efficient_attention
    attended = efficient(query, key, value, bias, wants_gradient, dropout_p)[0]
    return attended


def _aligned(bias: Tensor, alignment: int = 8) -> Tensor:
    """The copy that PyTorch makes of a mask whose rows do not start at multiples of 16 bytes (`pad_bias`)."""
    if bias.stride(-1) == 1 and all(step % alignment == 0 for step in bias.stride()[:-1]):
        return bias
    frames = bias.size(-1)
    return F.pad(bias, (0, -frames % alignment))[..., :frames]
