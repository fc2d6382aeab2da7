"""The words of launch's command line in, what runs where out."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from espnet2.utils.arguments import positive_float, positive_int
from espnet2.utils.errors import UserError

if TYPE_CHECKING:
    from espnet2.launch.node import NodeOptions

WAIT_SECONDS = 60.0


class LaunchCommand(NamedTuple):
    """What a command line of launch asks for."""

    node: "NodeOptions"  # this one, where there are no hosts
    hosts: tuple[tuple[str, int], ...]  # name and number of processes, to be started by ssh; none: start here
    shared_options: list[str]  # the words that every host gets
    command: list[str]  # -m, the module and its arguments
    follows_stdin: bool  # started by ssh: standard input brings signals, and its end is ours


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The options before -m."""
    raw = argparse.RawDescriptionHelpFormatter
    usage = "launch [options] -m MODULE [its arguments]"
    parser = argparse.ArgumentParser("launch", usage, description, formatter_class=raw, allow_abbrev=False)
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
    return parser


def parse_command(words: Sequence[str], description: str | None = None) -> LaunchCommand:
    """Read a command line.

    Args:
        words: after the name of the program.
        description: of the program, for --help.

    Raises:
        UserError: no module, options that contradict each other, or hosts that are none.
    """
    option_words = list(words[: words.index("-m")]) if "-m" in words else list(words)
    options = make_parser(description).parse_args(option_words)
    if len(words) < len(option_words) + 2:
        raise UserError("what to run? give -m espnet2.bin.ssl_train and its arguments")
    if options.standalone and options.nnodes > 1:
        raise UserError(f"--standalone is one node, --nnodes {options.nnodes} are several; leave one of them out")
    from espnet2.launch.hosts import parse_hosts  # these two are not needed for --help
    from espnet2.launch.node import NodeOptions

    return LaunchCommand(
        node=NodeOptions(
            options.nnodes, options.nproc_per_node, options.max_restarts, options.master_port, options.wait_seconds
        ),
        hosts=tuple(parse_hosts(options.host)) if options.host else (),
        shared_options=without_hosts(option_words),
        command=list(words[len(option_words) :]),
        follows_stdin=options.follow_stdin,
    )


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
