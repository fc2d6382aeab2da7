"""What all ranks must know of an update: summed on the device at once, read by the host when it asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import Objective
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks
from espnet2.train.updater import Launched, Prepared


class Flags(NamedTuple):
    """Read, on every rank alike."""

    is_nonfinite: bool  # the loss of a rank, or the gradient: the update is dropped
    must_stop: bool
    must_save: bool
    save_failed: bool  # a checkpoint that was written in the background


class SharedFlags:
    """The flags of one update on their way to the host.

    They are copied there behind the kernels that make them. Whoever reads them after more kernels were launched waits
    for those before the copy only, and the device has work meanwhile.

    Args:
        is_nonfinite: scalar, 1 or 0, of this rank.
    """

    def __init__(
        self, is_nonfinite: Tensor, ranks: Ranks, *, must_stop: bool, must_save: bool, save_failed: bool = False
    ) -> None:
        requests = torch.tensor([must_stop, must_save, save_failed], dtype=torch.float64)
        flags = torch.cat([is_nonfinite.reshape(1).double(), requests.to(ranks.device, non_blocking=True)])
        ranks.all_sum(flags)
        self.is_nonfinite = (flags[0] > 0).float()  # scalar on the device: 1 or 0, as AdamW's `found_inf`
        self._event: torch.cuda.Event | None = None
        self._host = flags
        if flags.is_cuda:
            self._host = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
            self._host.copy_(flags, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def read(self) -> Flags:
        """Wait for them, and for nothing that was launched after them."""
        if self._event is not None:
            self._event.synchronize()
        return Flags(*(value > 0 for value in self._host.tolist()))


@dataclass(frozen=True)
class Begun:
    """An update whose gradients are being computed."""

    update: int  # 1-based
    batches: Sequence[Prepared]
    launched: Launched
    flags: SharedFlags


def reads_late(config: TrainConfig, model: SSLModel, ranks: Ranks) -> bool:
    """Whether the flags of an update may be read when the next one is under way.

    The optimizer must be able to drop a step on the device, and nothing else may move with it: teachers, codebooks and
    running statistics do so on the host's word. A gradient scaler and FSDP2 read the device anyway.
    """
    chosen = ranks.device.type == "cuda" if config.read_late == "auto" else config.read_late
    simple = config.dtype != "fp16" and not (config.fsdp and ranks.world_size > 1)
    moved = type(model.encoder).after_step is not Encoder.after_step
    moved |= any(type(objective).after_step is not Objective.after_step for _, objective in model.entries())
    return chosen and simple and not moved
