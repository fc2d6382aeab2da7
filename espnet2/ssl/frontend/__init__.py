"""The name of a frontend in, the one Frontend class of frontend/<name>.py out."""

from espnet2.ssl.frontend.base import Frontend
from espnet2.utils.registry import part_class, part_names

_HELPERS = ("base", "geometry", "subsample")  # modules of this package that are no frontends


def frontend_names() -> list[str]:
    """The frontends there are: one file each."""
    return part_names(__name__, _HELPERS)


def frontend_class(name: str) -> type[Frontend]:
    """The class in frontend/<name>.py.

    Raises:
        UserError: there is no such file; the message lists the files present.
    """
    return part_class(__name__, name, Frontend, key="frontend", kind="frontend", helpers=_HELPERS)
