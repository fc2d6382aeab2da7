"""The nodes of a job, a module and its arguments in; processes on all of them that work together, one status, out.

  python -m espnet2.bin.launch --nproc_per_node 8 -m espnet2.bin.ssl_train --config ...               one node
  python -m espnet2.bin.launch --nnodes 4 --nproc_per_node 8 -m espnet2.bin.ssl_train ...             on each of four
  python -m espnet2.bin.launch --host h1:8,h2:8 -m espnet2.bin.ssl_train ...                          by ssh

It starts torchrun on its node. Inside a job of Slurm, Grid Engine, PBS or LSF, hosts, their order and a port of this
job alone come from the scheduler. SIGUSR1 reaches the processes as SIGTERM does; the exit status is theirs (a queue
starts a job again that exits with 99; torchrun ends with 1 whatever happened).
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from types import FrameType

from espnet2.train.hosts import NUM_PORTS, Place, find_place, num_cores, parse_hosts
from espnet2.train.signals import REQUEUE_EXIT_CODE
from espnet2.utils.errors import UserError, run_main

SAVE_SECONDS = 120  # for a checkpoint, after a signal; then the processes are killed. Torchrun's default is 30
REQUEUED = (signal.SIGTERM, signal.SIGUSR1)
HANDLED = (*REQUEUED, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
BY_TORCHRUN = ",".join(number.name for number in HANDLED if number not in REQUEUED)
SIGNAL_STATUS = 128  # a shell's exit status of a program that signal n ended is 128 + n
WAIT_SECONDS = 60.0
# Not restarted on the spot: success, a user's mistake, a stop that a queue asked for, Ctrl-C.
FINAL_STATUSES = (0, 2, REQUEUE_EXIT_CODE, SIGNAL_STATUS + signal.SIGINT)


class Stopped(Exception):
    """A signal came while no process was running yet; its number is the only argument."""


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Options; the words they were written in; and the command from -m on.

    Raises:
        UserError: no module.
    """
    raw = argparse.RawDescriptionHelpFormatter
    usage = "launch [options] -m MODULE [its arguments]"
    parser = argparse.ArgumentParser("launch", usage, __doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--nnodes", type=int, default=1, help="nodes (default: %(default)s)")
    parser.add_argument("--nproc_per_node", type=int, default=1, help="processes here: one per GPU (%(default)s)")
    parser.add_argument("--host", help="h1:4,h2:4: start on these by ssh, with so many processes on each")
    parser.add_argument("--max_restarts", type=int, default=0, help="starts of all after a crash (%(default)s)")
    parser.add_argument("--master_port", type=int, help="first of 8 ports on node 0 (default: from the job's number)")
    parser.add_argument("--wait_seconds", type=float, default=WAIT_SECONDS, help="for nodes and ranks (%(default)g)")
    parser.add_argument("--standalone", action="store_true", help="one node; the default")
    parser.add_argument("--follow_stdin", action="store_true", help=argparse.SUPPRESS)
    own = list(words[: words.index("-m")]) if "-m" in words else list(words)
    options = parser.parse_args(own)
    if len(words) < len(own) + 2:
        raise UserError("what to run? give -m espnet2.bin.ssl_train and its arguments")
    if options.standalone and options.nnodes > 1:
        raise UserError(f"--standalone is one node, --nnodes {options.nnodes} are several; leave one of them out")
    return options, own, list(words[len(own) :])


def main() -> int:
    """Entry point."""
    options, own, command = parse(sys.argv[1:])
    if options.host:
        from espnet2.train.ssh_nodes import run_on_hosts

        at = own.index("--host") if "--host" in own else None
        return run_on_hosts(parse_hosts(options.host), own[:at] + own[at + 2 :], command)
    for number in HANDLED:
        signal.signal(number, _stop)
    if options.follow_stdin:
        from espnet2.train.ssh_nodes import follow_stdin

        follow_stdin()
    try:
        return run_node(options, command)
    except Stopped as stopped:
        return stop_status(stopped.args[0])
    finally:
        _ignore_requeued()


def _stop(number: int, frame: FrameType | None) -> None:
    """Before and after torchrun."""
    if number in REQUEUED:
        _ignore_requeued()
    raise Stopped(number)


def _stop_torchrun(number: int, frame: FrameType | None) -> None:
    """End torchrun as its own handler does, but only once."""
    from torch.distributed.elastic.multiprocessing import SignalException

    _ignore_requeued()
    raise SignalException("the queue wants its machine back", signal.Signals(number))


def _ignore_requeued() -> None:
    """Queues send their signals more than once; a second one must not interrupt the saving."""
    for number in REQUEUED:
        signal.signal(number, signal.SIG_IGN)


def stop_status(number: int) -> int:
    """The exit status after a signal: 99 where it means that the queue wants its machine back."""
    return REQUEUE_EXIT_CODE if number in REQUEUED else SIGNAL_STATUS + number


def run_node(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Run the processes of this node, again after a crash while restarts are left; their exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, num_cores() // options.nproc_per_node)))
    os.environ["LAUNCH_WAIT_SECONDS"] = str(options.wait_seconds)
    place = find_place(os.environ, options.nnodes, port=options.master_port) if options.nnodes > 1 else None
    quieten_torch()
    meeting = None
    if place:
        os.environ["CLUSTER_HOSTS"] = " ".join(place.hosts)  # for messages of the processes
        from espnet2.train.nodes import Meeting

        meeting = Meeting(place, wait_seconds=options.wait_seconds)
    restarts = int(os.environ.get("CLUSTER_RESTARTS") or 0)
    for attempt in range(options.max_restarts + 1):
        os.environ["CLUSTER_RESTARTS"] = str(restarts + attempt)
        if meeting:
            meeting.gather(attempt)
        with meeting.watched(attempt) if meeting else nullcontext():
            status = run_torchrun([*torchrun_options(options, place, attempt), *command])
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


def torchrun_options(options: argparse.Namespace, place: Place | None, attempt: int) -> list[str]:
    """torchrun's own options for this node."""
    words = ["--signals_to_handle", BY_TORCHRUN, "--shutdown_timeout", str(SAVE_SECONDS)]
    words += ["--nproc_per_node", str(options.nproc_per_node)]
    if place is None:
        return [*words, "--standalone"]
    port = place.port + 1 + attempt % (NUM_PORTS - 1)
    words += ["--nnodes", str(len(place.hosts)), "--node_rank", str(place.node_rank)]
    words += ["--master_addr", place.hosts[0], "--master_port", str(port)]
    return [*words, "--rdzv_conf", f"timeout={round(options.wait_seconds)}"]


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
                signal.signal(number, _stop)
    return 0


if __name__ == "__main__":
    run_main(main)
