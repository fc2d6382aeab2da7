"""The loader: Batches in the order of their descriptions, the same from any number of workers."""

import multiprocessing
import multiprocessing.queues
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterable

import torch
from torch.utils.data import DataLoader, Dataset

from espnet2.data.dataset import Loaded
from espnet2.data.sampler import MicroBatch
from espnet2.utils.errors import UserError

# Forked loader processes start in milliseconds; others import PyTorch first, again at each validation.
START_METHOD = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"

SHARED_MEMORY = "/dev/shm"
PREFETCHED = 2  # batches that a loader works ahead: PyTorch's default
LOST_BATCH_STATUS = 74  # EX_IOERR of sysexits.h


def iterate_batches(
    dataset: Dataset[Loaded], stream: Iterable[MicroBatch], *, num_workers: int, pin_memory: bool = False
) -> Generator[Loaded, None, None]:
    """Load ahead in `num_workers` processes (0: in this one); the batches are the same for any number.

    Raises:
        UserError: the loader process's own message, without its traceback; or that process is gone.
    """
    loader = DataLoader(
        _Guarded(dataset),
        sampler=stream,
        batch_size=None,
        collate_fn=_as_is,  # type: ignore[arg-type]  # torch has the type of a loader with a batch_size
        num_workers=num_workers,
        multiprocessing_context=START_METHOD if num_workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else the loader draws its base seed from the global generator
    )
    iterator = iter(loader)
    try:
        for loaded in iterator:
            if isinstance(loaded, UserError):
                raise loaded
            yield loaded
    except (ConnectionError, EOFError) as error:  # its batch was being fetched when a loader process ended
        raise UserError(
            f"a process that loads audio is gone ({error}); what it said is above, if it could: most often memory or "
            "shared memory is full; lower num_workers or batch_bins; start the same command again"
        ) from None
    finally:
        # PyTorch ends the loader processes when the iterator is collected. A traceback may hold it until Python's exit,
        # which sends SIGTERM, to which they are deaf, and waits for ever.
        end_workers = getattr(iterator, "_shutdown_workers", None)
        if end_workers is not None:
            end_workers()


class _Guarded(Dataset[Loaded | UserError]):
    """Hands a user's error over as a value: raised in a loader process it would arrive wrapped in a traceback."""

    def __init__(self, dataset: Dataset[Loaded]) -> None:
        self.dataset = dataset

    def __getitem__(self, item: MicroBatch) -> Loaded | UserError:
        try:
            return self.dataset[item]
        except UserError as error:
            return error


def _as_is(loaded: Loaded | UserError) -> Loaded | UserError:
    return loaded


def _end_loader(error: Exception, item: object) -> None:
    """Say why a batch was lost, in words that `run_main` knows, and end this process."""
    print(f"loader: a batch could not be handed over ({error}); shared memory: {shared_memory()}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(LOST_BATCH_STATUS)


def shared_memory() -> str:
    """How much of /dev/shm is free, for messages."""
    try:
        usage = shutil.disk_usage(SHARED_MEMORY)
    except OSError:
        return f"no {SHARED_MEMORY}"
    return f"{usage.free / 1e6:,.1f} of {usage.total / 1e6:,.1f} MB free in {SHARED_MEMORY}"


def require_shared_memory(batch_bytes: float, num_workers: int, num_held: int = 1) -> None:
    """Refuse a run whose loaders could not hand their batches over.

    Args:
        batch_bytes: of one micro-batch as it is loaded.
        num_held: micro-batches that the reader holds at a time; those of an update.

    Raises:
        UserError: /dev/shm is smaller than what the loaders hold at a time; the message says how large it has to be.
    """
    if num_workers == 0 or not os.path.isdir(SHARED_MEMORY):
        return
    needed = batch_bytes * (num_workers * PREFETCHED + num_held)
    total = shutil.disk_usage(SHARED_MEMORY).total
    if total < needed:
        raise UserError(
            f"{SHARED_MEMORY} has {total / 1e6:,.1f} MB, and {num_workers} loader processes need up to "
            f"{needed / 1e6:,.1f} MB of shared memory: enlarge it (docker run --shm-size {needed / 1e9 + 0.5:.0f}g), "
            "lower num_workers or batch_bins, or set num_workers: 0"
        )


def _start_worker(worker: int) -> None:
    """One thread per process, and deaf to the signals a queue sends to all: the trainer saves first, then ends it."""
    torch.set_num_threads(1)
    # A batch that cannot be handed over (shared memory is full) is dropped by the queue's thread, and the trainer would
    # wait for it for ever. A loader that ends is noticed.
    queue = multiprocessing.queues.Queue
    queue._on_queue_feeder_error = staticmethod(_end_loader)  # type: ignore[attr-defined]  # a hook without types
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
