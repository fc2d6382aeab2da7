"""Biases of attention logits, (..., queries, keys): prefixes without a bias, and rows that CUDA's kernels can load."""

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet2.ssl.modules.formulation import wants_cuda_formulation

ROW_ALIGNMENT = 8  # bf16 values in 16 bytes; PyTorch copies a bias whose rows do not start at multiples of them


def spare_columns(num_keys: int) -> int:
    """Columns that make rows of keys start at multiples of `ROW_ALIGNMENT`."""
    return -num_keys % ROW_ALIGNMENT


def with_prefixes(bias: Tensor, num_prefixes: int, dtype: torch.dtype) -> Tensor:
    """Zeros to and from the prefixes in front.

    On CUDA in the type that attention computes in, once for all layers, and with aligned rows.
    """
    if not wants_cuda_formulation(bias):
        return F.pad(bias, (num_prefixes, 0, num_prefixes, 0))
    num_keys = num_prefixes + bias.size(-1)
    padded = F.pad(bias.to(dtype), (num_prefixes, spare_columns(num_keys), num_prefixes, 0))
    return padded[..., :num_keys]


def scaled_rows(gate: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """gate * bias, made on CUDA in the type that attention computes in and with aligned rows.

    Args:
        gate: (batch, heads, queries, 1).
        bias: (1 or batch, heads, queries, keys).
    """
    if not wants_cuda_formulation(bias):
        return gate * bias
    num_keys = bias.size(-1)
    return (gate.to(dtype) * F.pad(bias.to(dtype), (0, spare_columns(num_keys))))[..., :num_keys]
