"""A config and a batch shape in; one training update on fake tensors, as CUDA would run it, out."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils import _foreach_utils
from traced_autocast import as_cuda

from espnet2.data.batch import Batch
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.formulation import formulated_for_cuda
from espnet2.ssl.modules.lengths import valid_frames
from espnet2.tasks.build import build
from espnet2.tasks.config import SSLConfig
from espnet2.train.distributed import Ranks
from espnet2.train.optimizer import clip_gradients
from espnet2.train.updater import Prepared, Updater

SAMPLE_RATE = 16000
NUM_CLASSES = 500  # where the config leaves them to the labels
HOST = torch.device("cpu")  # what fake tensors say; `as_cuda` does the rest


@dataclass(frozen=True)
class Shape:
    """One micro-batch."""

    clips: int
    seconds: float
    padded: bool = False  # all rows but the first are 0.2 s shorter

    @property
    def num_samples(self) -> int:
        """Of a row."""
        return round(self.seconds * SAMPLE_RATE)

    @property
    def audio_seconds(self) -> float:
        """Of all rows."""
        return self.clips * self.seconds


class TracedUpdate:
    """One update of one micro-batch; call it inside `tracing`."""

    def __init__(self, config: SSLConfig, shape: Shape) -> None:
        with unset_fake_temporarily(), torch.device("meta"):
            meta = build(config)
        with unset_fake_temporarily():
            host_batch, counts = _host_batch(meta, shape)
        self.model = _faked(meta)
        self.updater = Updater(self.model, config, Ranks(0, 0, 1, 1, HOST), max_update=config.max_update or 1000)
        self.updater.precision.name = config.dtype
        for group in self.updater.optimizer.param_groups:
            group["fused"] = True
        batch = host_batch.map(lambda x: torch.empty(x.shape, dtype=x.dtype))
        self.prepared = Prepared(batch, counts, 0, shape.clips * shape.num_samples)

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
        patches.enter_context(mock.patch.object(_foreach_utils, "_foreach_supported_types", supported))
        for module in users:
            patches.enter_context(mock.patch.object(module, "valid_frames", _valid_frames))
        yield


def _valid_frames(lengths: torch.Tensor | None, num_frames: int) -> torch.Tensor | None:
    """`valid_frames` without the look at lengths that a host allows and a device does not."""
    return None if lengths is None else torch.arange(num_frames) < lengths[:, None]


def _host_batch(model: SSLModel, shape: Shape) -> tuple[Batch, dict[tuple[str, str], torch.Tensor]]:
    """What a loader and `prepare` give, in real tensors."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.full((shape.clips,), shape.num_samples)
    if shape.padded:
        lengths[1:] -= SAMPLE_RATE // 5
    names = tuple(map(str, range(shape.clips)))
    draws = {name: objective.draw(lengths, names, generator) for name, objective in model.entries()}
    frames = model.frontend.geometry.output_lengths(shape.num_samples)
    labels = torch.randint(2, (shape.clips, frames), generator=generator)
    mixed = torch.zeros(shape.clips, dtype=torch.bool)
    batch = Batch(torch.zeros(shape.clips, shape.num_samples), lengths, labels, names, draws, mixed=mixed)
    counts = {
        (entry, term): count for entry, objective in model.entries() for term, count in objective.counts(batch).items()
    }
    return batch, counts


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
