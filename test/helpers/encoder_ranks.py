"""A rank in, gradients and statistics of encoders on its share of a batch out: what test_encoder_ranks.py starts."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tiny_encoder import tiny_encoder
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

BATCH_NORM = ("conformer", {"conv_norm": "batch"})
GATED = ("transformer", {"position": "conv", "attention_position": "gated_relative", "long_skips": True})
RELATIVE = ("e_branchformer", {})
CASES = {
    f"{kind} {case[0]}": (case, kind) for kind in ("replicated", "sharded") for case in (BATCH_NORM, GATED, RELATIVE)
}


def step(name: str, *, rank: int = 0, world_size: int = 1) -> dict[str, Tensor]:
    """Gradients and buffers after one update on rows rank, rank + world_size, ... of a batch of four."""
    (encoder_name, conf), kind = CASES[name]
    encoder = tiny_encoder(encoder_name, **conf).train()
    x = torch.randn(4, 20, 16, generator=torch.Generator().manual_seed(1)) + 0.5
    lengths = torch.tensor([20, 11, 7, 20])
    module = encoder
    if world_size > 1 and kind == "sharded":
        for block in encoder.blocks:
            fully_shard(block)
        fully_shard(encoder)
    elif world_size > 1:
        module = DistributedDataParallel(encoder, broadcast_buffers=False)
    encoder.before_update(1)
    rank_lengths = lengths[rank::world_size]
    hidden = module(x[rank::world_size], rank_lengths).last
    valid = torch.arange(hidden.size(1)) < rank_lengths[:, None]
    (world_size * (hidden.square() * valid[..., None]).sum()).backward()  # gradients are averaged over ranks
    encoder.after_step(1)
    tensors = {key: parameter.grad for key, parameter in encoder.named_parameters()}
    tensors = {key: grad.full_tensor() if hasattr(grad, "full_tensor") else grad for key, grad in tensors.items()}
    return tensors | {key: value.clone() for key, value in encoder.named_buffers()}


def main(folder: str, rank: str) -> None:
    """Join the other rank through a file, and write what `step` found for all cases."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=int(rank), world_size=2)
    torch.save({name: step(name, rank=int(rank), world_size=2) for name in CASES}, Path(folder) / f"rank{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
