"""The sum over all ranks, the same on each."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
from torch import Tensor

_alone = False


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process is the only one: what it tries on its own waits for nobody."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Sum over the processes of a training, the same on all; the tensor itself where there is one process.

    Every rank must call it, equally often: objectives do so in `after_step` only, a forward pass waits for nobody.

    Args:
        tensor: on the device of the process group, the same shape on all ranks; without gradient.
    """
    if not _alone and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor
