"""What every run decides before its first update: length, threads, seeds."""

import logging
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

from espnet2.data.sampler import Sampler
from espnet2.launch.hosts import num_cores
from espnet2.train.config import TrainConfig
from espnet2.train.data import StepPlan
from espnet2.train.distributed import Ranks
from espnet2.utils.errors import UserError
from espnet2.utils.run_lock import LockedError, held

LOGGER = logging.getLogger("espnet2.train")


def total_updates(config: TrainConfig, sampler: Sampler, steps: StepPlan) -> int:
    """Length of the run in updates: the smaller of max_update and max_epoch.

    Raises:
        UserError: neither is given.
    """
    limits = [] if config.max_update is None else [config.max_update]
    if config.max_epoch is not None:
        limits.append(max(1, config.max_epoch * len(sampler.plan(0)) // steps.micro_batches))
    if not limits:
        raise UserError("config: how long to train? give max_update or max_epoch")
    return min(limits)


def default_threads(ranks: Ranks) -> int:
    """Threads unless the config or a checkpoint says otherwise: OMP_NUM_THREADS, or this process's share of cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or max(1, num_cores() // ranks.local_world_size))


def restore_threads(num_threads: int, configured: int | None) -> str:
    """Compute with as many threads as the checkpoint was made with; a warning where the config asks for others, or "".

    Sums over threads round differently: the same number keeps a resumed run on the same path, bit for bit.
    """
    if configured in (None, num_threads):
        torch.set_num_threads(num_threads)
        return ""
    return (
        f"num_threads is {configured}, the checkpoint was made with {num_threads}: "
        "the run goes on, but no longer bit for bit as without a break"
    )


def seed_all(seed: int) -> None:
    """Before the weights are drawn."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # nothing of ours draws from these two; a user's own module might
    random.seed(seed)


def describe_progress(update: int, max_update: int) -> str:
    """Where a resumed run stands."""
    if update >= max_update:
        return f"complete before: {update} of {max_update} updates"
    return f"going on from update {update} of {max_update}"


@contextmanager
def locked_folder(output_dir: Path, ranks: Ranks) -> Iterator[None]:
    """Hold exp/<name> while the block runs: the first rank makes the folder and locks it, all learn how it went.

    Raises:
        UserError: another run is at work there; the message says whose.
    """
    with ExitStack() as stack:
        failure = None
        if ranks.is_first:
            try:
                told = stack.enter_context(held(output_dir))
            except LockedError as error:
                failure = str(error)
            else:
                if told:
                    LOGGER.warning(told)
        if failure := ranks.from_first(failure):
            raise UserError(failure)
        yield
