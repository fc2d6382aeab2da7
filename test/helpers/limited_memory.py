"""A number of bytes in; a CPU that runs out of memory as a GPU of that size would, for trials of `fit_memory`, out."""

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from espnet2.train import fit_memory
from espnet2.train.peak_memory import PeakMemory


class LimitedMemory(PeakMemory):
    """Inside, an operator whose result does not fit raises what CUDA's allocator raises."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if self.live > self.limit:
            self.add(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
            raise torch.OutOfMemoryError("CUDA out of memory (a stand-in).")
        return result


def limit_memory(*limits: int, seen: int | None = None) -> list[int]:
    """Give this process's device so many bytes (a rank takes the limit of its number); it gets rows of the trials.

    Args:
        seen: what the device says that it has, where the trial finds less.
    """
    import os

    limit = limits[int(os.environ.get("RANK", "0")) % len(limits)]
    compute, rows = fit_memory.attempt, []

    def attempt(model, config, device, loaded):
        rows.append(len(loaded.batch.utt_ids))
        with LimitedMemory(limit) as memory:
            compute(model, config, device, loaded)
        return float(memory.peak)

    fit_memory.attempt = attempt
    fit_memory.device_bytes = lambda device: limit if seen is None else seen
    return rows
