"""A traced update in, the most memory that its tensors take together out; of two updates, the line over clips."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from espnet2.train.traced_update import TracedUpdate, tracing

# Of a device's memory, for tensors: CUDA's context and libraries take about 1 GB, and blocks of varied lengths do not
# fill their pages. What PyTorch's allocator reserves is more than what is allocated.
USABLE = 0.85


class PeakMemory(TorchDispatchMode):
    """Inside, storages are followed from the operator that makes them until nothing holds them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        self.add(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Follow tensors that are there already."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                weakref.finalize(storage, self._freed, storage._cdata, storage.nbytes())
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


class Memory(NamedTuple):
    """Of one update."""

    fixed: float  # bytes: weights, gradients, moments, and what does not grow with the clips
    per_clip: float  # bytes
    clip_seconds: float

    def peak(self, seconds: float) -> float:
        """Bytes for so much audio in a micro-batch."""
        return self.fixed + self.per_clip * seconds / self.clip_seconds

    def fitting_clips(self, device_bytes: float) -> int:
        """How many clips of a micro-batch fit into the usable part of so much memory; 0: not one."""
        return max(0, int((device_bytes * USABLE - self.fixed) / self.per_clip))

    def fitting_seconds(self, device_gb: float) -> float:
        """Audio of the largest micro-batch of whole clips that fits into so much memory; 0: not one clip."""
        return self.fitting_clips(device_gb * 1e9) * self.clip_seconds


def traced_peak(make_update: Callable[[], TracedUpdate]) -> int:
    """Bytes of one update after the first.

    Args:
        make_update: called inside `tracing`.
    """
    with torch.random.fork_rng(devices=[]), tracing():
        update = make_update()
        update()
        state = [leaf for leaf in tree_leaves(update.updater.optimizer.state) if isinstance(leaf, Tensor)]
        held = [*update.model.parameters(), *update.model.buffers(), *state]
        with PeakMemory() as memory:
            memory.add([*held, *(leaf for leaf in tree_leaves(update.tensors()) if isinstance(leaf, Tensor))])
            update()
    peak: int = memory.peak
    return peak


def memory_line(peaks: Mapping[int, int], clip_seconds: float) -> Memory:
    """The line through the peaks (bytes) of two numbers of clips."""
    (few, low), (many, high) = sorted(peaks.items())
    per_clip = (high - low) / (many - few)
    return Memory(low - few * per_clip, per_clip, clip_seconds)
