"""The registry of the forms of other libraries: formats/<name>.py has a Reader, a Writer, or one that is both."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from espnet2.utils.errors import UserError
from espnet2.utils.registry import only_class

if TYPE_CHECKING:
    from espnet2.formats.base import Reader, Writer

_CLASS = re.compile(r"^class \w+\((?P<bases>[\w, ]+)\):", re.MULTILINE)


def reader_names() -> list[str]:
    """What models can be imported from."""
    return _names("Reader")


def writer_names() -> list[str]:
    """What models can be exported to."""
    return _names("Writer")


def find_reader(name: str) -> "Reader":
    """The reader of one of `reader_names`.

    Raises:
        UserError: there is no such reader; the message lists those there are.
    """
    from espnet2.formats.base import Reader

    _require(name, reader_names(), "imported from")
    return only_class(import_module(f"{__name__}.{name}"), Reader)()


def find_writer(name: str) -> "Writer":
    """The writer of one of `writer_names`.

    Raises:
        UserError: there is no such writer; the message lists those there are.
    """
    from espnet2.formats.base import Writer

    _require(name, writer_names(), "exported to")
    return only_class(import_module(f"{__name__}.{name}"), Writer)()


def _require(name: str, known: list[str], what: str) -> None:
    if name not in known:
        raise UserError(f"'{name}': no such form; models can be {what} {', '.join(known)}")


@cache
def _names(base: str) -> list[str]:
    """The files that define a subclass of Reader or Writer, by their text: importing them would load torch."""
    files = [path for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "base"]
    return sorted(path.stem for path in files if base in _bases(path.read_text(encoding="utf-8")))


def _bases(source: str) -> set[str]:
    return {base.strip() for match in _CLASS.finditer(source) for base in match["bases"].split(",")}
