"""A model in, what the trainer calls out: the model itself, a copy on each rank (DDP), or shared out (FSDP2)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from espnet2.ssl.model import SSLModel
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


class Replica:
    """The model as the trainer calls it: plain, replicated (DDP) or sharded (FSDP2).

    Args:
        dtype: that the device computes in: bf16, fp16 or fp32.

    Raises:
        UserError: `fsdp_ranks` does not divide the number of ranks.
    """

    def __init__(self, model: SSLModel, config: TrainConfig, ranks: Ranks, *, dtype: str) -> None:
        self.model = model
        self.sharded = config.fsdp and ranks.world_size > 1  # one process has nobody to share with, and no group
        self.module: nn.Module = model
        if self.sharded:
            from espnet2.train.sharding import shard_model  # seconds of imports, for this alone

            shard_model(model, config, ranks, dtype)
        elif ranks.world_size > 1:
            with warnings.catch_warnings():  # of a new name for broadcast_buffers, which older versions do not know
                warnings.simplefilter("ignore", FutureWarning)
                # Buffers are alike already: what moves them is summed over ranks. Every parameter gets a gradient in
                # every pass (`BlockStack.forward` keeps dropped blocks in the graph), so DDP looks for none without.
                replica = DistributedDataParallel(
                    model, broadcast_buffers=False, gradient_as_bucket_view=True, static_graph=False
                )
            if config.grad_reduction == "bf16":
                replica.register_comm_hook(None, mean_in_bf16)
            self.module = replica

    @contextmanager
    def accumulating(self, *, first: bool, last: bool) -> Iterator[None]:
        """Around one micro-batch: gradients travel between ranks only in the last one of an update."""
        if self.sharded:
            from espnet2.train.sharding import free_after_forward, keep_gathered

            cast("FSDPModule", self.model).set_requires_gradient_sync(last)
            keep_gathered(self.model, until_last=not (first and last), last=last)
            yield
            if last:
                free_after_forward(self.model)
        elif isinstance(self.module, DistributedDataParallel) and not last:
            with self.module.no_sync():
                yield
        else:
            yield


def mean_in_bf16(state: None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """DDP's hook: the mean of a bucket of gradients over ranks, sent as bfloat16; PyTorch's own knows NCCL only."""
    buffer = bucket.buffer()
    sent = buffer.to(torch.bfloat16).div_(dist.get_world_size())
    work = dist.all_reduce(sent, async_op=True)
    assert work is not None

    def widen(future: torch.futures.Future[list[Tensor]]) -> Tensor:
        return buffer.copy_(future.value()[0])

    reduced: torch.futures.Future[Tensor] = work.get_future().then(widen)
    return reduced
