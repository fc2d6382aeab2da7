"""The place of a node in its job, and the job's port, as the scheduler's environment tells them."""

import os
import re
import socket
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from espnet2.utils.errors import UserError
from espnet2.utils.schedulers import first_value, schedulers

FIRST_PORT = 10000  # below the ports that systems give to outgoing connections (from 32768 on Linux)
NUM_PORTS = 8  # of one job: the nodes' meeting point, then torchrun's own, one for each restart in turn
NUM_JOBS = 2500  # jobs with consecutive numbers share no port


@dataclass(frozen=True)
class NodePosition:
    """Where this process stands among the nodes of its job."""

    hosts: tuple[str, ...]  # names as the scheduler writes them; the first is node 0
    node_rank: int
    port: int  # first of NUM_PORTS on node 0

    @property
    def host(self) -> str:
        return self.hosts[self.node_rank]


def find_node_position(environment: Mapping[str, str], num_nodes: int, *, port: int | None = None) -> NodePosition:
    """Which node this is, from what the job's environment says.

    In this order: torchrun's variables set by hand (NODE_RANK, MASTER_ADDR, MASTER_PORT), our own back ends
    (CLUSTER_*), the schedulers of `espnet2.utils.schedulers`.

    Args:
        num_nodes: as the user asked for; the list must have so many.
        port: instead of the one that follows from the job's number.

    Raises:
        UserError: no list of hosts, a list of another length, or this host is not in it.
    """
    if environment.get("NODE_RANK") and environment.get("MASTER_ADDR"):
        rank, first = int(environment["NODE_RANK"]), environment["MASTER_ADDR"]
        this_host = socket.gethostname()
        hosts = [first if node == 0 else this_host if node == rank else f"node{node}" for node in range(num_nodes)]
        given = environment.get("MASTER_PORT")
        return _checked("NODE_RANK", hosts, rank, num_nodes, port or (int(given) if given else FIRST_PORT))
    hosts = environment.get("CLUSTER_HOSTS", "").split()
    if len(hosts) > 1 and environment.get("CLUSTER_NODE_RANK"):  # run.pl says one host, also inside another's job
        rank = int(environment["CLUSTER_NODE_RANK"])
        return _checked("CLUSTER_HOSTS", hosts, rank, num_nodes, port or job_port(environment.get("CLUSTER_JOB", "0")))
    for name, job, listed, position in _jobs(environment):
        rank = _own_position(name, listed) if position is None else position
        return _checked(name, listed, rank, num_nodes, port or job_port(job))
    titles = [scheduler.title for scheduler in schedulers() if scheduler.hosts_variables]
    raise UserError(
        f"--nnodes {num_nodes}: no list of hosts. Inside a job of {', '.join(titles[:-1])} or {titles[-1]} the list is "
        "in the environment; elsewhere give --host h1:4,h2:4 (by ssh), or start it on each node with its number from 0 "
        "in NODE_RANK and the host name of number 0 in MASTER_ADDR"
    )


def num_cores() -> int:
    """Cores that this node's part of the job may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    names = tuple(name for scheduler in schedulers() for name in scheduler.cores_variables)
    return min(cores, int(first_value(os.environ, names) or cores))


def job_port(job: str) -> int:
    """The first of NUM_PORTS ports that this job uses and its neighbours in the queue do not.

    >>> job_port("7"), job_port("8")
    (10056, 10064)
    """
    number = int(job) if job.isdecimal() else zlib.crc32(job.encode())
    return FIRST_PORT + NUM_PORTS * (number % NUM_JOBS)


def parse_hosts(text: str) -> list[tuple[str, int]]:
    """The value of --host: names with their numbers of processes.

    Raises:
        UserError: not of the form h1:4,h2:4.

    >>> parse_hosts("h1:4,me@h2")
    [('h1', 4), ('me@h2', 1)]
    """
    hosts = []
    for word in text.split(","):
        match = re.fullmatch(r"([\w.@-]+|\S*\[[0-9a-fA-F:]+\])(?::([1-9]\d*))?", word.strip())
        if not match:
            raise UserError(f"--host {text}: '{word}' is not <host> or <host>:<processes>; expected h1:4,h2:4")
        hosts.append((match.group(1), int(match.group(2) or 1)))
    return hosts


def _jobs(environment: Mapping[str, str]) -> Iterator[tuple[str, str, list[str], int | None]]:
    """(variable, job, hosts, this node's number if the scheduler says it) of each scheduler whose job this is.

    Raises:
        UserError: its list of hosts is a file that cannot be read on this node.
    """
    for scheduler in schedulers():
        for name in scheduler.hosts_variables:
            if environment.get(name):
                try:
                    hosts = scheduler.listed_hosts(name, environment[name])
                except OSError as error:
                    raise UserError(f"the scheduler's list of hosts cannot be read here: {error}") from error
                job = (first_value(environment, scheduler.job_variables) or "0").partition(".")[0]
                rank = (
                    int(first_value(environment, scheduler.rank_variables) or 0) if scheduler.rank_variables else None
                )
                yield name, job, hosts, rank


def _own_position(name: str, hosts: list[str]) -> int:
    """The place of this host in the list, with or without its domain.

    Raises:
        UserError: it is not there.
    """
    this_host = os.uname().nodename
    for same in (lambda host: host == this_host, lambda host: host.partition(".")[0] == this_host.partition(".")[0]):
        for position, host in enumerate(hosts):
            if same(host):
                return position
    raise UserError(f"{name} lists {', '.join(hosts)}, but this is {this_host}; start launch on the hosts of the job")


def _checked(name: str, hosts: list[str], rank: int, num_nodes: int, port: int) -> NodePosition:
    if len(hosts) != num_nodes:
        raise UserError(
            f"--nnodes {num_nodes}, but the job has {len(hosts)} node(s) ({name}: {', '.join(hosts)}); "
            "ask for as many in both places (a recipe: --num_nodes)"
        )
    if not 0 <= rank < num_nodes:
        raise UserError(f"this is node {rank} of {num_nodes} ({name}); nodes are numbered from 0")
    return NodePosition(tuple(hosts), rank, port)
