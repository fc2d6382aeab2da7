"""The registry of the parts of an evaluation: <name>/part.py, found by file, in the order of their need."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from espnet2.evaluate.part import Part, RegisteredPart
from espnet2.utils.errors import UserError
from espnet2.utils.registry import only_class


def _find() -> dict[str, RegisteredPart]:
    """Name -> the part of evaluate/<name>/part.py, in their order."""
    names = [file.parent.name for file in Path(__file__).parent.glob("*/part.py")]
    parts: list[RegisteredPart] = [only_class(import_module(f"espnet2.evaluate.{name}.part"), Part)() for name in names]
    return {part.name: part for part in sorted(parts, key=lambda part: (part.order, part.name))}


PARTS = _find()


def find_parts(names: Sequence[str]) -> list[RegisteredPart]:
    """The parts of these names.

    Raises:
        UserError: an unknown name, or none at all.
    """
    if not names or any(name not in PARTS for name in names):
        raise UserError(f"--parts '{' '.join(names)}': expected some of {', '.join(PARTS)}")
    return [part for name, part in PARTS.items() if name in names]
