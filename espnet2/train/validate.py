"""A model and the validation set in, its exact figures out: whole utterances, fixed draws, any number of ranks."""

from collections.abc import Sequence
from contextlib import closing

import torch

from espnet2.ssl.data.dataset import SpeechDataset
from espnet2.ssl.data.loader import iterate_batches
from espnet2.ssl.data.sampler import MicroBatch
from espnet2.ssl.model import SSLModel
from espnet2.train.distributed import Ranks
from espnet2.train.meter import Meter, Tally, tally
from espnet2.train.precision import Precision


@torch.no_grad()
def validate(
    model: SSLModel,
    dataset: SpeechDataset,
    shards: Sequence[MicroBatch],
    *,
    ranks: Ranks,
    precision: Precision,
    num_workers: int,
) -> dict[str, float]:
    """The figures of the whole set, "loss" among them.

    All ranks run equally many forward passes (sharded models need that); surplus ones count nothing.
    """
    rounds = -(-len(shards) // ranks.world_size)
    places = [step * ranks.world_size + ranks.rank for step in range(rounds)]
    stream = [shards[place % len(shards)] for place in places]
    meter = Meter()
    model.eval()
    pin_memory = ranks.device.type == "cuda"
    with closing(iterate_batches(dataset, stream, num_workers=num_workers, pin_memory=pin_memory)) as batches:
        for place, loaded in zip(places, batches, strict=True):
            with precision.autocast():
                tallied = tally(model, model(loaded.batch.to(ranks.device)))
            if place >= len(shards):
                nothing = {name: torch.zeros_like(value) for name, value in tallied.sums.items()}
                tallied = Tally(nothing, tallied.weights)
            meter.add(tallied)
    model.train()
    return meter.read(ranks)
