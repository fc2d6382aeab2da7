"""The nodes of a job, a module and its arguments in; processes on all of them that work together, one status, out.

  python -m espnet2.bin.launch --nproc_per_node 8 -m espnet2.bin.ssl_train --config ...               one node
  python -m espnet2.bin.launch --nnodes 4 --nproc_per_node 8 -m espnet2.bin.ssl_train ...             on each of four
  python -m espnet2.bin.launch --host h1:8,h2:8 -m espnet2.bin.ssl_train ...                          by ssh

It starts torchrun on its node. Inside a job of Slurm, Grid Engine, PBS or LSF, hosts, their order and a port of this
job alone come from the scheduler. SIGUSR1 reaches the processes as SIGTERM does; the exit status is theirs (a queue
starts a job again that exits with 99; torchrun ends with 1 whatever happened).
"""

import sys

from espnet2.launch.command import parse_command
from espnet2.utils.errors import run_main

LAUNCHER = "espnet2.bin.launch"  # __name__ is __main__ here


def main() -> int:
    """Entry point."""
    launch = parse_command(sys.argv[1:], __doc__)
    if launch.hosts:
        from espnet2.launch.ssh_nodes import run_on_hosts

        return run_on_hosts(launch.hosts, LAUNCHER, launch.shared_options, launch.command)
    from espnet2.launch.node import run_node_until_stopped

    return run_node_until_stopped(launch.node, launch.command, follows_stdin=launch.follows_stdin)


if __name__ == "__main__":
    run_main(main)
