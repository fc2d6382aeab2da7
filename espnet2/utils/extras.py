"""Packages that not everybody needs: what is said where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from espnet2.utils.errors import UserError


@contextmanager
def needs(sentence: str) -> Iterator[None]:
    """Import in this block what may not be installed.

    Args:
        sentence: what needs which package, and the line that installs it.

    Raises:
        UserError: with that sentence, where an import fails.
    """
    try:
        yield
    except ImportError:
        raise UserError(sentence) from None
