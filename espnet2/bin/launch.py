"""torchrun's options, a module and its arguments in; processes of it that work together, and their exit status, out.

  python -m espnet2.bin.launch --standalone --nproc_per_node 8 -m espnet2.bin.ssl_train --config ...

It is torchrun, but for three things: SIGUSR1 reaches the processes as SIGTERM does; the exit status is theirs (a queue
starts a job again that exits with 99; torchrun ends with 1 whatever happened); and with --nnodes above 1 the place of
this node comes from NODE_RANK, MASTER_ADDR and MASTER_PORT, so that the same command line is right on every node.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence

from espnet2.train.signals import REQUEUE_EXIT_CODE
from espnet2.utils.errors import UserError, run_main

SAVE_SECONDS = 120  # for a checkpoint, after a signal; then the processes are killed. Torchrun's default is 30
OPTIONS = ["--signals_to_handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1", "--shutdown_timeout", str(SAVE_SECONDS)]
MASTER_PORT = "29500"  # torchrun's default
SIGNAL_STATUS = 128  # a shell's exit status of a program that signal n ended is 128 + n


def main() -> int:
    """Entry point."""
    os.environ.setdefault("LOGLEVEL", "CRITICAL")  # torchrun's own; each process says itself what went wrong
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    try:
        run(parse_args([*OPTIONS, *place(sys.argv[1:], os.environ), *sys.argv[1:]]))
    except SignalException as stopped:  # by now all processes have ended
        requeue = stopped.sigval in (signal.SIGTERM, signal.SIGUSR1)
        return REQUEUE_EXIT_CODE if requeue else SIGNAL_STATUS + stopped.sigval
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f"launch: error: process {rank} was ended by {name} (SIGKILL: is memory full?)", file=sys.stderr)
            return SIGNAL_STATUS - failure.exitcode
        return failure.exitcode
    return 0


def place(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """torchrun's options for this node of several; none where there is only one.

    Raises:
        UserError: the environment does not say which node this is, or where the first one is.

    >>> place(["--nnodes", "2"], {"NODE_RANK": "1", "MASTER_ADDR": "a"})
    ['--node_rank', '1', '--master_addr', 'a', '--master_port', '29500']
    """
    if "--nnodes" not in words[:-1] or words[words.index("--nnodes") + 1] == "1":
        return []
    missing = [name for name in ("NODE_RANK", "MASTER_ADDR") if not environment.get(name)]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} not set: training on several nodes is started on each of them, with its number "
            "from 0 in NODE_RANK and the host name of number 0 in MASTER_ADDR"
        )
    address, port = environment["MASTER_ADDR"], environment.get("MASTER_PORT", MASTER_PORT)
    return ["--node_rank", environment["NODE_RANK"], "--master_addr", address, "--master_port", port]


if __name__ == "__main__":
    run_main(main)
