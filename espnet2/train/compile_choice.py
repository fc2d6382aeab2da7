"""A config and a device in, what torch.compile is to make of the model out; the compiler itself is not loaded."""

from enum import Enum

import torch

from espnet2.train.config import TrainConfig


class Compiled(Enum):
    """What is compiled."""

    NOTHING = "nothing"
    BLOCKS = "blocks"  # of the encoder and of teachers, one by one
    WHOLE = "whole"  # waveform to loss, as one graph


def compile_choice(config: TrainConfig, device: torch.device, world_size: int) -> Compiled:
    """What `compile` means on a device.

    `auto` is the whole on CUDA, where graphs are few: `espnet2.ssl.modules.formulation` keeps convolutions out of them.
    On a CPU it is nothing: a compiler of C++ is not everywhere, and the mini trainings that newcomers wait for end
    before it would.
    """
    is_sharded = config.fsdp and world_size > 1  # weights are gathered between the blocks, outside any graph
    match config.compile:
        case "auto":
            return Compiled.WHOLE if device.type == "cuda" and not is_sharded else Compiled.NOTHING
        case "whole":
            return Compiled.BLOCKS if is_sharded else Compiled.WHOLE
        case True:
            return Compiled.BLOCKS
    return Compiled.NOTHING


def must_compile(config: TrainConfig) -> bool:
    """Whether the user asked for it by name: what cannot be compiled is an error then."""
    return config.compile != "auto"
