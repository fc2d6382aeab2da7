"""A model and a batch in; one training update on fake tensors, as CUDA would run it, out: nothing is computed."""

import copy
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _foreach_utils

from espnet2.data.batch import Batch
from espnet2.ssl.encoder.stack import BlockStack
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules import position_kernel
from espnet2.ssl.modules.formulation import formulated_for_cuda
from espnet2.ssl.modules.lengths import valid_frames
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks
from espnet2.train.optimizer import clip_gradients
from espnet2.train.traced_autocast import as_cuda
from espnet2.train.updater import Prepared, Updater

HOST = torch.device("cpu")  # what fake tensors say; `as_cuda` does the rest


class TracedUpdate:
    """One update of one micro-batch; make it and call it inside `tracing`.

    Args:
        model: on the meta device (see `copy_model`); its tensors become fake ones.
        batch: on the host.
        counts: of the batch, as `prepare` gives them.
    """

    def __init__(
        self, model: SSLModel, config: TrainConfig, batch: Batch, counts: Mapping[tuple[str, str], Tensor]
    ) -> None:
        self.model = _faked(model)
        uncompiled = config.model_copy(update={"compile": False, "fsdp": False})
        self.updater = Updater(self.model, uncompiled, Ranks(0, 0, 1, 1, HOST), max_update=config.max_update or 1000)
        self.updater.precision.name = config.dtype
        for group in self.updater.optimizer.param_groups:
            group["fused"] = True
        faked = batch.map(lambda x: torch.empty(x.shape, dtype=x.dtype))
        self.prepared = Prepared(faked, dict(counts), 0, batch.wavs.numel())

    def __call__(self) -> None:
        """Forward, backward, clipping, optimizer step."""
        self.updater.launch([self.prepared], 1)
        self.updater.finish(1, is_finite=True)

    def step_only(self) -> None:
        """Clipping and the optimizer step."""
        for parameter in self.updater.trained:
            parameter.grad = torch.empty_like(parameter)
        clip_gradients(self.updater.trained, self.updater.config.grad_clip)
        self.updater.finish(1, is_finite=True)

    def tensors(self) -> dict[str, object]:
        """The tensors of the batch, by the name of their field."""
        batch = self.prepared.batch
        draws = {entry: dict(draw) for entry, draw in batch.draws.items()}
        fields = {name: getattr(batch, name) for name in ("wavs", "wav_lengths", "labels", "mixed")}
        return {**fields, "draws": draws}


def copy_model(model: SSLModel, device: torch.device | str) -> SSLModel:
    """A model of its own on another device; on "meta" it takes no memory, and has no values."""
    tensors: dict[int, object] = {}
    for parameter in model.parameters():
        moved = parameter.detach().to(device, copy=True)
        tensors[id(parameter)] = nn.Parameter(moved, requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        tensors[id(buffer)] = buffer.detach().to(device, copy=True)
    return copy.deepcopy(model, tensors)


@contextmanager
def tracing(*, for_cuda: bool = True) -> Iterator[None]:
    """Fake tensors that compute as on CUDA.

    Args:
        for_cuda: formulated for CUDA (`espnet2.ssl.modules.formulation`), which is what a GPU gets.
    """
    supported = [*_foreach_utils._foreach_supported_types, FakeTensor]
    users = [module for module in sys.modules.values() if getattr(module, "valid_frames", None) is valid_frames]
    with ExitStack() as patches:
        for context in (FakeTensorMode(allow_non_fake_inputs=True), as_cuda(), formulated_for_cuda(for_cuda)):
            patches.enter_context(context)
        patches.enter_context(mock.patch.object(position_kernel, "runs_kernel", lambda device: for_cuda))
        patches.enter_context(mock.patch.object(BlockStack, "set_layerdrop"))  # it reads the host; no block is dropped
        patches.enter_context(mock.patch.object(_foreach_utils, "_foreach_supported_types", supported))
        for module in users:
            patches.enter_context(mock.patch.object(module, "valid_frames", _valid_frames))
        yield


def _valid_frames(lengths: Tensor | None, num_frames: int) -> Tensor | None:
    """`valid_frames` without the look at lengths that a host allows and a device does not."""
    return None if lengths is None else torch.arange(num_frames) < lengths[:, None]


def _faked(model: SSLModel) -> SSLModel:
    """A model on the meta device with fake tensors in place of its own."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                data = torch.empty(parameter.shape, dtype=parameter.dtype)
                module._parameters[name] = nn.Parameter(data, requires_grad=parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return model.train()
