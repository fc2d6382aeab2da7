"""How the batch of an update is divided over ranks, and what a run is trained and validated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from espnet2.data.dataset import SpeechDataset
from espnet2.data.sampler import MicroBatch, Sampler
from espnet2.train.config import TrainConfig
from espnet2.utils.errors import UserError

if TYPE_CHECKING:  # its module needs this one
    from espnet2.train.observers import Probe

VALID_SHARD_SECONDS = 80.0  # default size of a validation batch: about what fits beside HuBERT Base on a small GPU


class StepPlan(NamedTuple):
    """How the batch of one update is divided."""

    shard_samples: int  # samples of one micro-batch of one rank
    accumulation: int  # micro-batches of one rank per update
    micro_batches: int  # of all ranks per update


def plan_steps(config: TrainConfig, world_size: int) -> StepPlan:
    """Divide `batch_bins` over the ranks, and further where a rank cannot hold its part.

    Raises:
        UserError: `max_bins_per_gpu` is auto: only `espnet2.train.fit_memory` can say what that is.
    """
    bound = config.max_bins_per_gpu
    if bound == "auto":
        raise UserError("max_bins_per_gpu: auto is for ssl_train alone; give a number of samples")
    return divided(config, world_size, -(-max(1, config.batch_bins // world_size) // bound) if bound else 1)


def divided(config: TrainConfig, world_size: int, parts: int) -> StepPlan:
    """`batch_bins` over the ranks, and each rank's part in so many."""
    accumulation = config.accum_grad * parts
    return StepPlan(max(1, config.batch_bins // world_size // parts), accumulation, accumulation * world_size)


@dataclass(frozen=True)
class ValidSet:
    """A set that is measured at each validation beside the valid set, and chooses nothing."""

    prefix: str  # of its figures
    dataset: SpeechDataset | None  # None: its loss is not measured, as it has no labels
    shards: Sequence[MicroBatch]
    probe: "Probe | None"


@dataclass(frozen=True)
class TrainingData:
    """What is trained and validated on."""

    train: SpeechDataset
    sampler: Sampler
    valid: SpeechDataset
    valid_shards: Sequence[MicroBatch]
    old: ValidSet | None = None  # of the domain that the model came from
