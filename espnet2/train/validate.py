"""A model and the validation set in, its exact figures out: whole utterances, fixed draws, any number of ranks.

And what the probe finds on a part of it.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, cast

import torch

from espnet2.data.dataset import SpeechDataset
from espnet2.data.loader import iterate_batches
from espnet2.data.sampler import MicroBatch
from espnet2.ssl.model import SSLModel
from espnet2.train.data import TrainingData, ValidSet
from espnet2.train.distributed import Ranks
from espnet2.train.meter import Meter, Tally, tally
from espnet2.train.observers import Probe
from espnet2.train.precision import Precision
from espnet2.utils.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


class Measured(NamedTuple):
    """What a validation gives."""

    figures: dict[str, float]
    problems: list[str]  # of probes that had nothing to say


def measure(
    model: SSLModel,
    data: TrainingData,
    probe: Probe | None,
    *,
    ranks: Ranks,
    precision: Precision,
    num_workers: int,
    is_sharded: bool,
) -> Measured:
    """The figures of the valid set and of the set beside it, with what the probes find; the same on every rank."""
    valid = ValidSet("", data.valid, data.valid_shards, probe)
    figures: dict[str, float] = {}
    problems: list[str] = []
    for part in (valid, data.old):
        if part is None:
            continue
        measured = measure_set(
            model, part, ranks=ranks, precision=precision, num_workers=num_workers, is_sharded=is_sharded
        )
        figures |= measured.figures
        problems += measured.problems
    return Measured(figures, problems)


def measure_set(
    model: SSLModel, part: ValidSet, *, ranks: Ranks, precision: Precision, num_workers: int, is_sharded: bool
) -> Measured:
    """The figures of one set, with its prefix."""
    figures: dict[str, float] = {}
    problem = ""
    if part.dataset is not None:
        figures = validate(model, part.dataset, part.shards, ranks=ranks, precision=precision, num_workers=num_workers)
    if part.probe is not None:
        probed, problem = run_probe(model, part.probe, ranks=ranks, precision=precision, is_sharded=is_sharded)
        figures |= probed
    return Measured({f"{part.prefix}{name}": value for name, value in figures.items()}, [problem] if problem else [])


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
    positions = [step * ranks.world_size + ranks.rank for step in range(rounds)]
    stream = [shards[position % len(shards)] for position in positions]
    meter = Meter()
    model.eval()
    pin_memory = ranks.device.type == "cuda"
    with closing(iterate_batches(dataset, stream, num_workers=num_workers, pin_memory=pin_memory)) as batches:
        for position, loaded in zip(positions, batches, strict=True):
            with precision.autocast():
                tallied = tally(model, model(loaded.batch.to(ranks.device)))
            if position >= len(shards):  # the same names with nothing in them: all ranks bring alike sums
                nothing = {name: torch.zeros_like(value) for name, value in tallied.sums.items()}
                tallied = Tally(nothing, tallied.weights)
            meter.add(tallied)
    model.train()
    return meter.read(ranks)


@torch.no_grad()
def run_probe(
    model: SSLModel, probe: Probe, *, ranks: Ranks, precision: Precision, is_sharded: bool
) -> tuple[dict[str, float], str]:
    """The probe's figures and "", or none and why: the same on every rank. The model and all random states stay.

    The first rank computes and the others wait; where weights are sharded, all make the same forward passes, because
    each block is gathered from all ranks when it is called.
    """
    figures: dict[str, float] = {}
    problem = ""
    own_device = [ranks.device] if ranks.device.type == "cuda" else []
    with torch.random.fork_rng(devices=own_device):
        extractor = probe.extractor(model)
        if is_sharded:
            # What is outside the blocks: else only the model's own forward gathers it.
            cast("FSDPModule", model).unshard()
        try:
            if is_sharded or ranks.is_first:
                with precision.autocast():
                    features = extractor()
            if ranks.is_first:
                figures = probe.figures(features)
        except UserError as error:
            problem = f"probe: {error}; the training goes on"
        finally:
            if is_sharded:
                cast("FSDPModule", model).reshard()
            model.train()
    return ranks.from_first((figures, problem))
