"""The check that weights are numbers and those that were written."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from espnet2.models.packed_files import check_known_files
from espnet2.tasks.numbers import check_numbers
from espnet2.train.manifest import noted_file
from espnet2.utils.errors import UserError


def check_weights(weights: Mapping[str, Tensor], file: Path, digest: str) -> None:
    """What every use of trained weights asks once, when it loads them.

    Args:
        weights: name -> tensor, read from `file`.
        digest: `hash_file` of it.

    Raises:
        UserError: a value is nan or inf; the checkpoint's manifest or the packed folder's card names other contents.
    """
    noted = noted_file(file.parent, file.name)
    if noted is not None and noted != (file.stat().st_size, digest):
        raise UserError(
            f"{file}: has other contents than the training wrote (hash {digest}, noted {noted[1]}); take another "
            "checkpoint, or a copy of this one"
        )
    check_known_files(file.parent, (name for name in (file.name, "config.yaml") if (file.parent / name).is_file()))
    check_numbers(weights, file)
