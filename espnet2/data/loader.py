"""A dataset and a stream of micro-batch descriptions in, Batches in the same order out, from any number of workers."""

import multiprocessing
import signal
from collections.abc import Generator, Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from espnet2.data.dataset import Loaded
from espnet2.utils.errors import UserError

# Forked loader processes start in milliseconds; others import PyTorch first, again at each validation.
START_METHOD = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def iterate_batches(
    dataset: Dataset, stream: Iterable, *, num_workers: int, pin_memory: bool = False
) -> Generator[Loaded, None, None]:
    """Load ahead in `num_workers` processes (0: in this one); the batches are the same for any number.

    Raises:
        UserError: the loader process's own message, without its traceback.
    """
    loader = DataLoader(
        _Guarded(dataset),
        sampler=stream,
        batch_size=None,
        collate_fn=_as_is,
        num_workers=num_workers,
        multiprocessing_context=START_METHOD if num_workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else the loader draws its base seed from the global generator
    )
    for loaded in loader:
        if isinstance(loaded, UserError):
            raise loaded
        yield loaded


class _Guarded(Dataset):
    """Hands a user's error over as a value: raised in a loader process it would arrive wrapped in a traceback."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, item: Any) -> Loaded | UserError:
        try:
            return self.dataset[item]
        except UserError as error:
            return error


def _as_is(loaded: Any) -> Any:
    return loaded


def _start_worker(worker: int) -> None:
    """One thread per process, and deaf to the signals a queue sends to all: the trainer saves first, then ends it."""
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
