"""Updates and decays that a config writes as a share of the run ("10%") in; numbers for a run of known length out."""

import math
import re
from typing import Annotated

from espnet2.utils.errors import UserError

RunShare = Annotated[str, "share of the run"]  # checked by the validators below; doc/generate names it in its tables
SHARE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*%")


def check_updates(value: object) -> int | str:
    """For a "before" validator of a key that takes updates, or a share of the run.

    Raises:
        ValueError: neither.

    >>> check_updates(1000), check_updates("30 %")
    (1000, '30%')
    """
    if isinstance(value, str) and "%" in value:
        return _share_text(value)
    number = _number(value)
    if not (number > 0 and number.is_integer()):
        raise ValueError("expected a whole number of updates above 0, or a share of the run such as 10%")
    return int(number)


def check_decay(value: object) -> float | str:
    """For a "before" validator of a key that takes a decay, or the share of the run that it remembers.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, str) and "%" in value:
        return _share_text(value)
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("expected a number from 0 to 1, or the share of the run that is remembered, such as 1%")
    return number


def check_share(value: object) -> float:
    """For a "before" validator of a key that takes a share of the run: 0.3 or 30%.

    Raises:
        ValueError: neither.

    >>> check_share("30%"), check_share(0.3)
    (0.3, 0.3)
    """
    number = share_of(_share_text(value)) if isinstance(value, str) and "%" in value else _number(value)
    if not 0 <= number <= 1:
        raise ValueError("expected a share of the run from 0 to 1, such as 0.3 or 30%")
    return number


def _number(value: object) -> float:
    """NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan


def updates_of(value: int | str, max_update: int | None, key: str) -> int:
    """Updates, whichever way they were written; a share is at least one update.

    Args:
        max_update: updates of the whole run; None where it is not known.

    Raises:
        UserError: a share of a run of unknown length.

    >>> updates_of("30%", 1000, "decay_steps"), updates_of(75000, None, "decay_steps")
    (300, 75000)
    """
    if not isinstance(value, str):
        return value
    return max(1, round(share_of(value) * _known(max_update, value, key)))


def decay_of(value: float | str, max_update: int | None, key: str) -> float:
    """A decay, whichever way it was written: "1%" is 1 - 1 / n, where n is so much of the run in updates.

    What a moving average with this decay holds is on average n updates old.

    Raises:
        UserError: a share of a run of unknown length, or of less than one update.

    >>> decay_of("10%", 1000, "decay_start"), decay_of(0.999, None, "decay_start")
    (0.99, 0.999)
    """
    if not isinstance(value, str):
        return value
    memory = share_of(value) * _known(max_update, value, key)
    if memory < 1:
        raise UserError(
            f"{key}: {value} of {max_update} updates is {memory:.2g} updates, and a memory has at least one; write a "
            "larger share, or a number from 0 to 1"
        )
    return 1 - 1 / memory


def fixed_updates(share: float, max_update: int | None) -> int:
    """The first updates of the run, of `teacher_fixed`.

    Raises:
        UserError: a share of a run of unknown length.

    >>> fixed_updates(0.3, 1000), fixed_updates(0.0, None)
    (300, 0)
    """
    return round(share * _known(max_update, f"{share:g}", "teacher_fixed")) if share else 0


def share_of(text: str) -> float:
    """The number behind a share that was checked.

    >>> share_of("12.5%")
    0.125
    """
    return float(text.removesuffix("%")) / 100


def _share_text(value: str) -> str:
    """Without blanks.

    Raises:
        ValueError: not above 0 % and up to 100 %.
    """
    match = SHARE.fullmatch(value.strip())
    if match is None or not 0 < float(match[1]) <= 100:
        raise ValueError("expected a share of the run above 0% and up to 100%, such as 10%")
    return f"{match[1]}%"


def _known(max_update: int | None, value: str, key: str) -> int:
    if max_update is None:
        raise UserError(f"{key}: {value} of a run whose length is not known; write a number")
    return max_update
