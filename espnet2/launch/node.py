"""One node of a launch: torchrun in this process, its signals, its restarts, one exit status."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import FrameType

from espnet2.launch.hosts import NUM_PORTS, NodePosition, find_node_position, num_cores
from espnet2.launch.signals import REQUEUE_EXIT_CODE

SAVE_SECONDS = 120  # for a checkpoint, after a signal; then the processes are killed. Torchrun's default is 30
REQUEUED = (signal.SIGTERM, signal.SIGUSR1)
HANDLED = (*REQUEUED, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
BY_TORCHRUN = ",".join(number.name for number in HANDLED if number not in REQUEUED)
SIGNAL_STATUS = 128  # a shell's exit status of a program that signal n ended is 128 + n
# Not restarted on the spot: success, a user's mistake, a stop that a queue asked for, Ctrl-C.
FINAL_STATUSES = (0, 2, REQUEUE_EXIT_CODE, SIGNAL_STATUS + signal.SIGINT)


@dataclass(frozen=True)
class NodeOptions:
    """How the processes of this node are started."""

    num_nodes: int
    num_processes: int  # here: one per GPU
    max_restarts: int  # of all processes, after a crash
    master_port: int | None  # first of NUM_PORTS ports on node 0; None: from the job's number
    wait_seconds: float  # for nodes and ranks


class Stopped(Exception):
    """A signal came while no process was running yet; its number is the only argument."""


def raise_stopped(number: int, frame: FrameType | None) -> None:
    """Before and after torchrun."""
    if number in REQUEUED:
        ignore_requeued()
    raise Stopped(number)


def _stop_torchrun(number: int, frame: FrameType | None) -> None:
    """End torchrun as its own handler does, but only once."""
    from torch.distributed.elastic.multiprocessing import SignalException

    ignore_requeued()
    raise SignalException("the queue wants its machine back", signal.Signals(number))


def ignore_requeued() -> None:
    """Queues send their signals more than once; a second one must not interrupt the saving."""
    for number in REQUEUED:
        signal.signal(number, signal.SIG_IGN)


def stop_status(number: int) -> int:
    """The exit status after a signal: 99 where it means that the queue wants its machine back."""
    return REQUEUE_EXIT_CODE if number in REQUEUED else SIGNAL_STATUS + number


def run_node_until_stopped(options: NodeOptions, command: Sequence[str], *, follows_stdin: bool = False) -> int:
    """As `run_node`, from its first moment on: a signal at any time ends it with a status that says which.

    Args:
        follows_stdin: lines on standard input are signals, and its end is one.
    """
    for number in HANDLED:
        signal.signal(number, raise_stopped)
    if follows_stdin:
        from espnet2.launch.ssh_nodes import follow_stdin

        follow_stdin()
    try:
        return run_node(options, command)
    except Stopped as stopped:
        return stop_status(stopped.args[0])
    finally:
        ignore_requeued()


def run_node(options: NodeOptions, command: Sequence[str]) -> int:
    """Run the processes of this node, again after a crash while restarts are left; their exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, num_cores() // options.num_processes)))
    os.environ["LAUNCH_WAIT_SECONDS"] = str(options.wait_seconds)
    position = (
        find_node_position(os.environ, options.num_nodes, port=options.master_port) if options.num_nodes > 1 else None
    )
    quieten_torch()
    meeting = None
    if position:
        os.environ["CLUSTER_HOSTS"] = " ".join(position.hosts)  # for messages of the processes
        from espnet2.launch.nodes import Meeting

        meeting = Meeting(position, wait_seconds=options.wait_seconds)
    restarts = int(os.environ.get("CLUSTER_RESTARTS") or 0)
    for attempt in range(options.max_restarts + 1):
        os.environ["CLUSTER_RESTARTS"] = str(restarts + attempt)
        if meeting:
            meeting.gather(attempt)
        with meeting.watched(attempt) if meeting else nullcontext():
            status = run_torchrun([*torchrun_options(options, position, attempt), *command])
        if meeting and status != 0:
            # What the first node said holds for all; a node that had to end because of another has no say.
            status = meeting.report(attempt, status)
        if meeting:
            meeting.leave(attempt)
        if status in FINAL_STATUSES or attempt == options.max_restarts:
            return status
        left = options.max_restarts - attempt
        print(f"launch: status {status}; starting again ({left} restarts left)", file=sys.stderr, flush=True)
    raise AssertionError("the loop returns")


def quieten_torch() -> None:
    """Let torchrun and its stores be silent: each process says itself what went wrong, and launch which node it was."""
    logging.disable(logging.CRITICAL)
    given = os.environ.get("TORCH_CPP_LOG_LEVEL")
    os.environ["TORCH_CPP_LOG_LEVEL"] = given or "FATAL"
    import torch  # noqa: F401 - it reads the level now; the processes have their own

    if given is None:
        del os.environ["TORCH_CPP_LOG_LEVEL"]


def torchrun_options(options: NodeOptions, position: NodePosition | None, attempt: int) -> list[str]:
    """torchrun's own options for this node."""
    words = ["--signals_to_handle", BY_TORCHRUN, *shutdown_options(), "--nproc_per_node", str(options.num_processes)]
    if position is None:
        return [*words, "--standalone"]
    port = position.port + 1 + attempt % (NUM_PORTS - 1)
    words += ["--nnodes", str(len(position.hosts)), "--node_rank", str(position.node_rank)]
    words += ["--master_addr", position.hosts[0], "--master_port", str(port)]
    return [*words, "--rdzv_conf", f"timeout={round(options.wait_seconds)}"]


def shutdown_options() -> list[str]:
    """The time to save after a signal, where torchrun takes it; torch 2.11 always waits for its own 30 s."""
    from torch.distributed.run import get_args_parser

    option = "--shutdown_timeout"
    if option in get_args_parser().format_help():
        return [option, str(SAVE_SECONDS)]
    print(
        f"launch: this torchrun has no {option}: a checkpoint that takes over 30 s after a signal is lost",
        file=sys.stderr,
        flush=True,
    )
    return []


def run_torchrun(words: Sequence[str]) -> int:
    """Run torchrun in this process; the exit status of what it started."""
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    for number in REQUEUED:
        signal.signal(number, _stop_torchrun)
    try:
        run(parse_args(list(words)))
    except SignalException as stopped:  # by now all processes have ended
        return stop_status(stopped.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f"launch: error: process {rank} was ended by {name} (SIGKILL: is memory full?)", file=sys.stderr)
            return SIGNAL_STATUS - failure.exitcode
        return failure.exitcode
    except DistError as error:
        print(f"launch: error: torchrun's rendezvous failed: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    finally:
        for number in HANDLED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, raise_stopped)
    return 0
