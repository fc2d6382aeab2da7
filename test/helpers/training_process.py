"""The arguments of ssl_train in, its exit status out: trainings in processes forked from one that has imported PyTorch.

Starting Python and importing PyTorch takes seconds; forking takes milliseconds. The server never computes anything, so
its children may (autograd does not survive a fork).
"""

import contextlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ["espnet2.pretrain.session", "espnet2.bin.ssl_train", "torch.utils.tensorboard", "espnet2.train.plots"]
PRELOADED += ["matplotlib.figure", "matplotlib.backends.backend_agg", "torch._dynamo"]  # the last by torch.optim
CONTEXT.set_forkserver_preload([*PRELOADED, __name__])


def run_training(words: Sequence[str], *, log: Path, prepare: Callable[[], None] | None = None, **env: str) -> int:
    """Run ssl_train to its end; its exit status (negative: killed by that signal).

    Args:
        log: gets standard output and error.
        prepare: called in the new process first; a function of a module, or a partial of one.
    """
    process = start_training(words, log=log, prepare=prepare, **env)
    process.join(120)
    assert process.exitcode is not None, f"still running; see {log}"
    return process.exitcode


def start_training(words: Sequence[str], *, log: Path, prepare: Callable[[], None] | None = None, **env: str):
    """Start ssl_train in a new process."""
    process = CONTEXT.Process(target=_child, args=(list(words), str(log), prepare, env))
    process.start()
    return process


def run_ranks(
    words: Sequence[str], world_size: int, *, log: Path, prepare: Callable[[], None] | None = None
) -> list[int]:
    """Run ssl_train as torchrun would, with gloo; the exit status of each rank."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(world_size), "LOCAL_WORLD_SIZE": str(world_size), "MASTER_ADDR": "localhost"}
    processes = [
        start_training(
            words,
            log=log.with_suffix(f".{rank}.log"),
            prepare=prepare,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            MASTER_PORT=port,
            **shared,
        )
        for rank in range(world_size)
    ]
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def _child(words: list[str], log: str, prepare: Callable[[], None] | None, env: dict[str, str]) -> None:
    from espnet2.bin.ssl_train import main
    from espnet2.utils.errors import run_main

    os.environ.update(env)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - for the process
    if prepare is not None:
        prepare()
    sys.argv = ["ssl_train", *words]
    with contextlib.suppress(BrokenPipeError):
        run_main(main)
