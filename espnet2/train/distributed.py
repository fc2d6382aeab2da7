"""The processes of a training, one being the plain case: ranks, devices and reductions."""

import atexit
import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from espnet2.ssl.modules.attention_backend import fused_attention
from espnet2.utils.errors import UserError

Value = TypeVar("Value")  # picklable

LOST_STATUS = 1  # exit status of a rank that lost another


@dataclass(frozen=True)
class Ranks:
    """Which process this is, and on which device it computes."""

    rank: int
    local_rank: int
    world_size: int
    local_world_size: int
    device: torch.device
    network: str = ""  # what the self-test measured, for the log
    group: dist.ProcessGroup | None = None  # of the collectives below; None: the one that all of PyTorch uses

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def beside(self) -> "Ranks":
        """The same ranks for another thread, whose collectives must not meet those of this one; all call it alike.

        Objects travel by gloo, over the host: the device has none of this thread's work in its queue.
        """
        return replace(self, group=dist.new_group(backend="gloo")) if self.world_size > 1 else self

    def all_sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in place, on the device of the process group."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def gather(self, value: Value) -> list[Value]:
        """The values of all ranks, in their order (any picklable object; rare events only)."""
        if self.world_size == 1:
            return [value]
        values = [value] * self.world_size  # to be overwritten
        dist.all_gather_object(values, value, group=self.group)
        return values

    def from_first(self, value: Value) -> Value:
        """Rank 0's value, on every rank."""
        values = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(values, src=0, group=self.group)
        return values[0]

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world_size > 1:
            dist.barrier(group=self.group)


SINGLE = Ranks(0, 0, 1, 1, torch.device("cpu"))


@contextmanager
def process_group(ngpu: int) -> Iterator[Ranks]:
    """Join the other processes that torchrun started, if any.

    Args:
        ngpu: GPUs per node; 0 computes on the CPU.

    Raises:
        UserError: GPUs asked for that are not there; or a process that does not come, or cannot be reached.
    """
    with _joined(ngpu) as ranks, fused_attention(ranks.device):
        yield ranks


@contextmanager
def _joined(ngpu: int) -> Iterator[Ranks]:
    if ngpu > 0 and torch.cuda.device_count() < ngpu:
        raise UserError(
            f"--ngpu {ngpu}, but PyTorch {torch.__version__} sees {torch.cuda.device_count()} GPU(s); "
            "train on the CPU with --ngpu 0, or check nvidia-smi and CUDA_VISIBLE_DEVICES"
        )
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local_rank) if ngpu > 0 else torch.device("cpu")
    if ngpu > 0:
        torch.cuda.set_device(device)
    ranks = Ranks(
        int(os.environ.get("RANK", "0")), local_rank, world_size, int(os.environ.get("LOCAL_WORLD_SIZE", "1")), device
    )
    if world_size == 1:
        yield ranks
        return
    from espnet2.launch.selftest import measure_network, meet  # not needed by one process

    store = meet(ranks.rank, world_size)
    dist.init_process_group(
        "nccl" if ngpu > 0 else "gloo",
        store=store,
        rank=ranks.rank,
        world_size=world_size,
        device_id=device if ngpu > 0 else None,
    )
    _hold_until_exit(dist.group.WORLD)
    try:
        yield replace(ranks, network=measure_network(store, ranks.rank, world_size, device))
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        host = socket.gethostname()
        reason = str(error).partition(". This is typically")[0].splitlines()[0]
        print(f"rank {ranks.rank} on {host}: the connection to another rank is lost ({reason})", file=sys.stderr)
        raise SystemExit(LOST_STATUS) from None  # a launcher that may restart does so
    finally:
        dist.destroy_process_group()


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether a collective failed because of another process, which has more to say about it."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def _hold_until_exit(group: dist.ProcessGroup | None) -> None:
    """Let the last reference to the group be one of Python's, dropped when no replica is left.

    DDP's reducer holds the group too. When a traceback or a cycle keeps the reducer alive beyond
    `destroy_process_group`, the reducer ends the group while it has Python's lock, and waits for gloo's threads; they
    may want that lock to drop the tensors of the last collective, and the process hangs for ever (PyTorch 2.13).
    Python's own reference gives the lock up before it ends the group.
    """
    held = [group]

    def drop() -> None:
        gc.collect()  # replicas in cycles go first
        held.clear()

    atexit.register(drop)
