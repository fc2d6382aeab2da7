"""A config and a device in, what torch.compile is to make of the model out; the compiler itself is not loaded."""

from enum import Enum

import torch
from torch import nn

from espnet2.train.config import TrainConfig


class Compiled(Enum):
    """What is compiled."""

    NOTHING = "nothing"
    BLOCKS = "blocks"  # of the encoder and of teachers, one by one
    WHOLE = "whole"  # waveform to loss, as one graph


def compile_choice(config: TrainConfig, model: nn.Module, device: torch.device, world_size: int) -> Compiled:
    """What `compile` means for a model on a device.

    `auto` is the whole on CUDA, where the graphs are few. On a CPU it is nothing: a compiler of C++ is not everywhere,
    and the mini trainings that newcomers wait for end before it would.
    """
    is_sharded = config.fsdp and world_size > 1  # weights are gathered between the blocks, outside any graph
    match config.compile:
        case "auto":
            fits = device.type == "cuda" and not is_sharded and not keeps_convolutions(model)
            return Compiled.WHOLE if fits else Compiled.NOTHING
        case "whole":
            return Compiled.BLOCKS if is_sharded else Compiled.WHOLE
        case True:
            return Compiled.BLOCKS
    return Compiled.NOTHING


def keeps_convolutions(model: nn.Module) -> bool:
    """Whether CUDA computes some of its layers as convolutions, not as products (`espnet2.ssl.modules.products`).

    Inductor (2.13) takes the strides of a convolution's gradient for constants: a graph for each number of frames.
    """
    for module in model.modules():
        is_depthwise = isinstance(module, nn.Conv1d) and 1 < module.groups == module.in_channels
        if is_depthwise or isinstance(module, nn.Conv2d):
            return True
    return False


def must_compile(config: TrainConfig) -> bool:
    """Whether the user asked for it by name: what cannot be compiled is an error then."""
    return config.compile != "auto"
