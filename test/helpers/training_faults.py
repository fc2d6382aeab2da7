"""Mishaps to prepare in a training process: killed at an instant, numbers that are none, a full disk."""

import errno
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import torch


def kill_after_seconds(seconds: float) -> None:
    """SIGKILL this process after so long."""

    def wait() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def signal_at_event(event: int, number: int = signal.SIGKILL) -> None:
    """Send this process a signal at its `event`-th event: around a part of a save, a forward pass, a step."""
    from torch.optim import AdamW

    import espnet2.train.checkpoint as checkpoint
    import espnet2.train.updater as updater
    import espnet2.train.validate as validate

    passed = 0

    def tick() -> None:
        nonlocal passed
        passed += 1
        if passed == event:
            os.kill(os.getpid(), number)

    def watch(owner: object, name: str) -> None:
        function = getattr(owner, name)

        def watched(*args, **options):
            tick()
            result = function(*args, **options)
            tick()
            return result

        setattr(owner, name, watched)

    watch(updater, "tally")  # between the micro-batches of an update
    watch(validate, "tally")  # inside a validation
    watch(AdamW, "step")
    for name in ("save_file", "write_json", "write_manifest", "sync_folder"):
        watch(checkpoint, name)
    for name in ("save", "link", "prune", "_remove"):
        watch(checkpoint.CheckpointFolder, name)


def check_links_at_save() -> None:
    """Fail a save that finds best_<stat> leading nowhere, as a kill at that instant would leave it."""
    from espnet2.train.checkpoint import CheckpointFolder

    save = CheckpointFolder.save

    def checked(folder, *args):
        for link in folder.directory.glob("best_*"):
            assert link.exists(), f"{link} leads to {os.readlink(link)}, which is gone"
        return save(folder, *args)

    CheckpointFolder.save = checked


def poison(numbers: tuple[int, ...]) -> None:
    """Put a value that is not a number into the audio of some micro-batches."""
    from espnet2.train import trainer

    prepare = trainer.prepare

    def poisoned(model, loaded, device):
        if loaded.number in numbers:
            loaded.batch.wavs[0, 100] = float("nan")
        return prepare(model, loaded, device)

    trainer.prepare = poisoned


def poison_and_signal(numbers: tuple[int, ...], event: int, number: int = signal.SIGKILL) -> None:
    """Both `poison` and `signal_at_event`."""
    poison(numbers)
    signal_at_event(event, number)


def fill_disk(number: int) -> None:
    """Let the `number`-th save fail half-way, as a full disk does."""
    import espnet2.train.checkpoint as checkpoint

    save, saves = torch.save, []

    def failing(value, path):
        if isinstance(path, Path):  # not a stream, into which parts of a sharded checkpoint go
            saves.append(path)
        if len(saves) == number and path is saves[-1]:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(value, path)

    checkpoint.torch.save = failing


def shrink_disk() -> None:
    """Leave a thousand bytes free."""
    shutil.disk_usage = lambda path: SimpleNamespace(free=1000)


def claim_matrix_units(answer: bool) -> None:
    """Say of the processor that it has units for bf16, or none; without them bf16 is slow, and right."""
    from espnet2.train import precision

    precision.has_matrix_units = lambda: answer


def slow_saves(seconds: float) -> None:
    """Let every save take so long, and say to standard error how many optimizer steps were taken meanwhile."""
    from torch.optim import AdamW

    from espnet2.train.checkpoint import CheckpointFolder

    finish, step, taken = CheckpointFolder.finish, AdamW.step, []

    def counted(optimizer, *arguments, **options):
        taken.append(1)
        return step(optimizer, *arguments, **options)

    def slow(folder, *arguments):
        before = len(taken)
        time.sleep(seconds)
        path = finish(folder, *arguments)
        print(f"steps beside a save: {len(taken) - before}", file=sys.stderr, flush=True)
        return path

    AdamW.step, CheckpointFolder.finish = counted, slow


def slow_and_kill(seconds: float, event: int) -> None:
    """Both `slow_saves` and `signal_at_event`."""
    slow_saves(seconds)
    signal_at_event(event)
