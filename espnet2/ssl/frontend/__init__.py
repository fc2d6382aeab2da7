"""The registry of frontends: frontend/<name>.py holds the one Frontend class of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espnet2.utils.registry import part_class, part_names

if TYPE_CHECKING:  # it loads torch, which programs that only list the names do without
    from espnet2.ssl.frontend.base import Frontend


def frontend_names() -> list[str]:
    """The frontends there are: one file each."""
    return part_names(__name__)


def frontend_class(name: str) -> type[Frontend]:
    """The class in frontend/<name>.py.

    Raises:
        UserError: there is no such file; the message lists the files present.
    """
    from espnet2.ssl.frontend.base import Frontend

    return part_class(__name__, name, Frontend, key="frontend", kind="frontend")
