"""The registry of the forms of other libraries: formats/<name>.py has a Reader, a Writer, or one that is both."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

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
    """The reader of one of `reader_names`."""
    from espnet2.formats.base import Reader

    return only_class(import_module(f"{__name__}.{name}"), Reader)()


def find_writer(name: str) -> "Writer":
    """The writer of one of `writer_names`."""
    from espnet2.formats.base import Writer

    return only_class(import_module(f"{__name__}.{name}"), Writer)()


@cache
def _names(base: str) -> list[str]:
    """The files that define a subclass of Reader or Writer, by their text: importing them would load torch."""
    files = [path for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "base"]
    return sorted(path.stem for path in files if base in _bases(path.read_text(encoding="utf-8")))


def _bases(source: str) -> set[str]:
    return {base.strip() for found in _CLASS.finditer(source) for base in found["bases"].split(",")}
