"""Fixtures of the cluster tier: schedulers of our own, started once for each file of tests that asks for them."""

from collections.abc import Iterator

import pytest
from clusters import Cluster, running


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    """Two nodes with one host name, fake GPUs, partitions normal and high (preempts)."""
    with running("slurm") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def slurm_netns() -> Iterator[Cluster]:
    """Two nodes with their own networks and host names, partitions normal and high (preempts)."""
    with running("slurm_netns") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def grid_engine() -> Iterator[Cluster]:
    """One host with four slots."""
    with running("grid_engine") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def sshd() -> Iterator[Cluster]:
    """The hosts 127.0.0.1 and 127.0.0.2."""
    with running("sshd") as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["slurm", "grid_engine", "sshd"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each back end that can run here."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=["slurm", "grid_engine"])
def queue(request: pytest.FixtureRequest) -> Cluster:
    """Each real scheduler that can run here."""
    return request.getfixturevalue(request.param)
