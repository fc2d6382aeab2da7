"""The nodes of a job, a module and its arguments in; processes on all of them that work together, one status, out.

  python -m espnet2.bin.launch --nproc_per_node 8 -m espnet2.bin.ssl_train --config ...               one node
  python -m espnet2.bin.launch --nnodes 4 --nproc_per_node 8 -m espnet2.bin.ssl_train ...             on each of four
  python -m espnet2.bin.launch --host h1:8,h2:8 -m espnet2.bin.ssl_train ...                          by ssh

It starts torchrun on its node. Inside a job of Slurm, Grid Engine, PBS or LSF, hosts, their order and a port of this
job alone come from the scheduler. SIGUSR1 reaches the processes as SIGTERM does; the exit status is theirs (a queue
starts a job again that exits with 99; torchrun ends with 1 whatever happened).
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from espnet2.launch.hosts import parse_hosts
from espnet2.launch.node import HANDLED, NodeOptions, Stopped, ignore_requeued, raise_stopped, run_node, stop_status
from espnet2.utils.arguments import positive_float, positive_int
from espnet2.utils.errors import UserError, run_main

WAIT_SECONDS = 60.0
LAUNCHER = "espnet2.bin.launch"  # __name__ is __main__ here


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Options; the words they were written in; and the command from -m on.

    Raises:
        UserError: no module.
    """
    raw = argparse.RawDescriptionHelpFormatter
    usage = "launch [options] -m MODULE [its arguments]"
    parser = argparse.ArgumentParser("launch", usage, __doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--nnodes", type=positive_int, default=1, help="nodes (default: %(default)s)")
    parser.add_argument(
        "--nproc_per_node", type=positive_int, default=1, help="processes here: one per GPU (%(default)s)"
    )
    parser.add_argument("--host", help="h1:4,h2:4: start on these by ssh, with so many processes on each")
    parser.add_argument("--max_restarts", type=int, default=0, help="starts of all after a crash (%(default)s)")
    parser.add_argument("--master_port", type=int, help="first of 8 ports on node 0 (default: from the job's number)")
    parser.add_argument(
        "--wait_seconds", type=positive_float, default=WAIT_SECONDS, help="for nodes and ranks (%(default)g)"
    )
    parser.add_argument("--standalone", action="store_true", help="one node; the default")
    parser.add_argument("--follow_stdin", action="store_true", help=argparse.SUPPRESS)
    option_words = list(words[: words.index("-m")]) if "-m" in words else list(words)
    options = parser.parse_args(option_words)
    if len(words) < len(option_words) + 2:
        raise UserError("what to run? give -m espnet2.bin.ssl_train and its arguments")
    if options.standalone and options.nnodes > 1:
        raise UserError(f"--standalone is one node, --nnodes {options.nnodes} are several; leave one of them out")
    return options, option_words, list(words[len(option_words) :])


def without_hosts(words: Sequence[str]) -> list[str]:
    """The options of one node: all but --host.

    >>> without_hosts(["--wait_seconds", "9", "--host=h1:4,h2:4", "--master_port", "5"])
    ['--wait_seconds', '9', '--master_port', '5']
    >>> without_hosts(["--host", "h1,h2", "--nnodes", "2"])
    ['--nnodes', '2']
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host")
    return parser.parse_known_args(words)[1]


def main() -> int:
    """Entry point."""
    options, option_words, command = parse(sys.argv[1:])
    if options.host:
        from espnet2.launch.ssh_nodes import run_on_hosts

        return run_on_hosts(parse_hosts(options.host), LAUNCHER, without_hosts(option_words), command)
    for number in HANDLED:
        signal.signal(number, raise_stopped)
    if options.follow_stdin:
        from espnet2.launch.ssh_nodes import follow_stdin

        follow_stdin()
    try:
        node = NodeOptions(
            options.nnodes, options.nproc_per_node, options.max_restarts, options.master_port, options.wait_seconds
        )
        return run_node(node, command)
    except Stopped as stopped:
        return stop_status(stopped.args[0])
    finally:
        ignore_requeued()


if __name__ == "__main__":
    run_main(main)
