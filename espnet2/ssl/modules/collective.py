"""The sum over all ranks, the same on each."""

import torch.distributed as dist
from torch import Tensor


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Sum over the processes of a training, the same on all; the tensor itself where there is one process.

    Every rank must call it, equally often: objectives do so in `after_step` only, a forward pass waits for nobody.

    Args:
        tensor: on the device of the process group, the same shape on all ranks; without gradient.
    """
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor
