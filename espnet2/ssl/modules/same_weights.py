"""Modules in pairs of which the second may be a part of the first in; the seconds with the firsts' weights out."""

from collections.abc import Mapping

import torch
from torch import nn

from espnet2.utils.errors import UserError


@torch.no_grad()
def copy_weights(pairs: Mapping[str, tuple[nn.Module, nn.Module]], where: str, remedy: str) -> None:
    """Copy every weight of the second of each pair from the one of the same name in the first, which may have more.

    Args:
        pairs: name of a part, for messages -> (teacher, student).
        where: what is copied, for messages.
        remedy: what to do where it cannot be.

    Raises:
        UserError: a weight is missing there or has another shape; nothing is copied then.
    """
    copies = []
    for part, (teacher, student) in pairs.items():
        theirs = teacher.state_dict()
        for name, value in student.state_dict().items():
            if name not in theirs:
                raise UserError(f"{where}: the {part} of the teacher has no {name}, the student's has; {remedy}")
            if theirs[name].shape != value.shape:
                shapes = f"{tuple(theirs[name].shape)} in the teacher, {tuple(value.shape)} in the student"
                raise UserError(f"{where}: {part}.{name} has shape {shapes}; {remedy}")
            copies.append((value, theirs[name]))
    for value, source in copies:
        value.copy_(source)
