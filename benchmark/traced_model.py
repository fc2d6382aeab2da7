"""A config and a batch shape in; one training update on fake tensors, as CUDA would run it, out."""

from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import unset_fake_temporarily

from espnet2.data.batch import Batch
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import build
from espnet2.tasks.config import SSLConfig
from espnet2.train.traced_update import TracedUpdate

SAMPLE_RATE = 16000
NUM_CLASSES = 500  # where the config leaves them to the labels


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


def traced_update(config: SSLConfig, shape: Shape) -> TracedUpdate:
    """One update of one micro-batch; call it inside `tracing`."""
    with unset_fake_temporarily():
        with torch.device("meta"):
            meta = build(config)
        batch, counts = host_batch(meta, shape)
    return TracedUpdate(meta, config, batch, counts)


def host_batch(model: SSLModel, shape: Shape) -> tuple[Batch, dict[tuple[str, str], torch.Tensor]]:
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
