"""A state on the device in, its copy on the host and a thread that writes it out: the training goes on meanwhile."""

import threading
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only


class HostCopy:
    """Copies of tensors in nested dicts and lists, made without waiting for the device.

    The copies are launched behind the kernels that made the tensors and before those that will change them. Page-locked
    memory is kept for the next time.
    """

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []
        self._used = 0
        self._event: torch.cuda.Event | None = None

    def of(self, value: dict[str, object]) -> dict[str, object]:
        """The same with tensors on the host; to be read after `wait`, and until the next call."""
        self._used, self._event = 0, None
        copied: dict[str, object] = tree_map_only(Tensor, self._copied, value)
        if self._used:
            self._event = torch.cuda.Event()
            self._event.record()
        return copied

    def wait(self) -> None:
        """Until the copies are there; any thread may."""
        if self._event is not None:
            self._event.synchronize()

    def _copied(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        if type(tensor) is not Tensor:  # a shard, whose type knows of the others: not by way of page-locked memory
            return tensor.to("cpu", copy=True)
        if not tensor.is_cuda:
            return tensor.clone()
        kept = self._buffers[self._used] if self._used < len(self._buffers) else None
        if kept is None or kept.shape != tensor.shape or kept.dtype != tensor.dtype:
            kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._buffers[self._used :] = [kept]
        self._used += 1
        return kept.copy_(tensor, non_blocking=True)


class Background:
    """One thing at a time is done by a thread; what it raises is kept until somebody asks.

    The thread is no daemon: Python's exit waits for it, so that a run that fails elsewhere completes its checkpoint.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def start(self, action: Callable[[], object]) -> None:
        """Begin, after what was begun before."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(action,), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Until what was begun is done, or has failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            self.failure = error
