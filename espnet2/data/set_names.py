"""The names by which a config calls training sets."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from espnet2.data.index import JoinedIndex
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

SHOWN = 8  # names in an error


def sets_by_name(index: JoinedIndex) -> dict[str, int]:
    """Number of each set, by its path and, where no other set has it, by the last part of its path."""
    lasts = [Path(name).name for name in index.names]
    short = {last: number for number, last in enumerate(lasts) if lasts.count(last) == 1}
    return short | {name: number for number, name in enumerate(index.names)}


def unknown_name(name: str, where: str, kind: str, known: Iterable[str] | Mapping[str, int]) -> UserError:
    """The error about a name that no training set has.

    Args:
        where: the key of the config.
        kind: what is named, such as "set".
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UserError(f"{where}: the training sets have no {kind} '{name}'; {hint}known are {first_names(names, SHOWN)}")
