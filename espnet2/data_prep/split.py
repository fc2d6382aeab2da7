"""The rule that holds out whole speakers or sessions for validation, by the hash of their names."""

import hashlib
from collections.abc import Mapping

from espnet2.utils.errors import UserError


def hold_out(hours: Mapping[str, float], wanted_hours: float) -> set[str]:
    """Groups (speakers, sessions) to hold out for validation: about `wanted_hours`, chosen by the hash of their names.

    A group that alone exceeds what is left is passed over, so that few long ones do not fill the set; where all are
    longer, the shortest is taken. The same groups give the same choice.

    Raises:
        UserError: fewer than two groups.
    """
    if len(hours) < 2:
        raise UserError(f"{len(hours)} speakers or sessions: two are needed, one of them to validate on")
    held_out: set[str] = set()
    left = wanted_hours
    for group in sorted(hours, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if hours[group] <= left and len(held_out) < len(hours) - 1:
            held_out.add(group)
            left -= hours[group]
    return held_out or {min(hours, key=lambda name: (hours[name], name))}
