"""The schedulers of utils/cluster: what each puts into the environment of a job.

Standard library only: the shell's supervisor uses it too.
"""

import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol, cast

PACKAGE = "espnet2_cluster"  # the folder under a name that nothing else has
# In an installed distribution (see setup.py), and in the repository.
FOLDERS = (Path(__file__).parent / "cluster", Path(__file__).parents[2] / "utils" / "cluster")


class Scheduler(Protocol):
    """What `Backend` in utils/cluster/backend.py says of the environment of a job."""

    title: str
    hosts_variables: tuple[str, ...]
    job_variables: tuple[str, ...]
    rank_variables: tuple[str, ...]
    cores_variables: tuple[str, ...]
    restarts_variables: tuple[str, ...]

    def listed_hosts(self, variable: str, value: str) -> list[str]:
        """The hosts that one of `hosts_variables` names.

        Raises:
            OSError: it names a file that cannot be read here.
        """


class _Backends(Protocol):
    def every(self) -> list[Scheduler]: ...


@cache
def schedulers() -> tuple[Scheduler, ...]:
    """All of them, in the order in which they are asked what job this is."""
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    places = [str(folder)]
    spec = importlib.util.spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=places)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    backends = cast(_Backends, importlib.import_module(f"{PACKAGE}.backends"))
    return tuple(backends.every())


def job_variables() -> tuple[str, ...]:
    """Where the id of a job is: of our own back ends first."""
    return ("CLUSTER_JOB", *(name for scheduler in schedulers() for name in scheduler.job_variables))


def restarts_variables() -> tuple[str, ...]:
    """How often a queue (our own back ends first) or launch has started this job before; "0" or nothing: it has not."""
    return ("CLUSTER_RESTARTS", *(name for scheduler in schedulers() for name in scheduler.restarts_variables))


def first_value(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first that is set and not empty; "" where none is."""
    return next((value for name in names if (value := environment.get(name))), "")
