"""The registry of loss entries: objective/<name>.py holds the one Objective class of that name."""

from espnet2.ssl.objective.base import Objective
from espnet2.utils.registry import part_class, part_names


def objective_names() -> list[str]:
    """The methods there are: one file each."""
    return part_names(__name__)


def objective_class(name: str) -> type[Objective]:
    """The class in objective/<name>.py.

    Raises:
        UserError: there is no such file; the message lists the files present.
    """
    return part_class(__name__, name, Objective, key="loss", kind="objective")
