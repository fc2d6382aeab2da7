"""A model in, the same with weights, gradients and moments spread over ranks (FSDP2) out: over all, or in copies."""

from collections.abc import Iterator
from functools import cache
from typing import cast

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import Loss
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks
from espnet2.utils.errors import UserError


def shard_model(model: SSLModel, config: TrainConfig, ranks: Ranks, dtype: str) -> None:
    """FSDP2: the blocks of encoder and teachers one by one, then the rest; hooks fire at `forward` only.

    In bf16 the blocks, most of the weights, are gathered as they are computed with: half the bytes. Their gradients are
    added up in float32 over micro-batches, and over ranks unless `grad_reduction` says otherwise. What comes in and
    goes out of a block keeps its type, as autocast leaves it, and so does all outside the blocks.

    Args:
        dtype: that the device computes in: bf16, fp16 or fp32.

    Raises:
        UserError: see `make_mesh`.
    """
    mesh = make_mesh(config, ranks)
    _show_losses()
    reduced = torch.bfloat16 if config.grad_reduction == "bf16" else torch.float32
    plain = MixedPrecisionPolicy(reduce_dtype=reduced, cast_forward_inputs=False)
    half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=reduced, cast_forward_inputs=False)
    for encoder in model.encoders():
        for block in encoder.blocks:
            fully_shard(block, mesh=mesh, mp_policy=half if dtype == "bf16" else plain)
    fully_shard(model, mesh=mesh, mp_policy=plain)


def make_mesh(config: TrainConfig, ranks: Ranks) -> DeviceMesh:
    """All ranks in a row, or `fsdp_ranks` in each of several rows: shared out in a row, alike in a column (HSDP).

    Raises:
        UserError: rows of that length do not fill all ranks.
    """
    size, row = ranks.world_size, config.fsdp_ranks
    if row is None or row == size:
        return init_device_mesh(ranks.device.type, (size,))
    if row > size or size % row:
        raise UserError(f"fsdp_ranks: {size} processes do not fall into groups of {row}; give a divisor of {size}")
    return init_device_mesh(ranks.device.type, (size // row, row), mesh_dim_names=("copies", "shards"))


def keep_gathered(model: SSLModel, *, until_last: bool, last: bool) -> None:
    """Before a micro-batch: gather each weight once per update, in its first one, and free it in the last backward.

    Only what has a backward pass is kept: a teacher that moves would be kept as it was.

    Args:
        until_last: there is more than one micro-batch in an update.
    """
    if not until_last:
        return
    root = cast(FSDPModule, model)
    root.set_reshard_after_backward(last)
    for block in _trained_blocks(model):
        block.set_reshard_after_forward(False, recurse=False)


def free_after_forward(model: SSLModel) -> None:
    """After an update: validation, which has no backward pass, frees each block behind it again."""
    for block in _trained_blocks(model):
        block.set_reshard_after_forward(True, recurse=False)


def _trained_blocks(model: SSLModel) -> Iterator[FSDPModule]:
    for block in model.encoder.blocks:
        if any(parameter.requires_grad for parameter in block.parameters()):
            yield cast(FSDPModule, block)


@cache
def _show_losses() -> None:
    """Once per process: FSDP2 finds the tensors whose gradients it waits for only inside types that torch knows."""
    torch.export.register_dataclass(Loss)
