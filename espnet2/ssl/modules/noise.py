"""Normal noise: in training from torch's own generator, in evaluation the same at every call."""

from collections.abc import Sequence

import torch
from torch import Tensor


def normal_noise(shape: Sequence[int], like: Tensor, *, seed: int | None) -> Tensor:
    """N(0, 1) of a shape, on the device and in the dtype of a tensor; it flows into one graph of the compiler.

    Args:
        seed: of a generator of its own; None draws from torch's global one, which the trainer seeds.
    """
    if seed is None:
        return torch.randn(shape, device=like.device, dtype=like.dtype)
    noise: Tensor = torch.ops.espnet2_ssl.seeded_noise(shape, like.detach(), seed)  # noise has no gradient
    return noise


def _seeded(shape: Sequence[int], like: Tensor, seed: int) -> Tensor:
    generator = torch.Generator(like.device).manual_seed(seed)
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _without_values(shape: Sequence[int], like: Tensor, seed: int) -> Tensor:
    return like.new_empty(shape)


# An operator of its own: the compiler cannot look into a generator, nor keep one in a graph. (`torch.library.custom_op`
# is shorter, but its first call loads the compiler.)
_OPERATORS = torch.library.Library("espnet2_ssl", "DEF")
_OPERATORS.define("seeded_noise(SymInt[] shape, Tensor like, int seed) -> Tensor")
_OPERATORS.impl("seeded_noise", _seeded, "CompositeExplicitAutograd")
torch.library.register_fake("espnet2_ssl::seeded_noise", _without_values, lib=_OPERATORS)
