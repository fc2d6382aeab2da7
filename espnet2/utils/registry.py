"""The rule of all registries: <package>/<name>.py holds the one class of that name."""

import difflib
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from espnet2.utils.errors import UserError

Part = TypeVar("Part")


def part_names(package: str, helpers: tuple[str, ...] = ("base",)) -> list[str]:
    """The parts of a package: one file each, without the helper modules that live beside them."""
    folder = Path(import_module(package).__path__[0])
    return sorted(path.stem for path in folder.glob("[a-z]*.py") if path.stem not in helpers)


def part_class(
    package: str, name: str, base: type[Part], *, key: str, kind: str, helpers: tuple[str, ...] = ("base",)
) -> type[Part]:
    """The subclass of `base` that <package>/<name>.py defines.

    Args:
        key: the config key the name came from, for the error.
        kind: what such a part is called, for the error.

    Raises:
        UserError: there is no such file; the message lists the files present.
    """
    names = part_names(package, helpers)
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UserError(f"{key}: unknown {kind} '{name}'; {hint}known are {', '.join(names)}")
    return only_class(import_module(f"{package}.{name}"), base)


def only_class(module: ModuleType, base: type[Part]) -> type[Part]:
    """The one subclass of `base` that a module defines, imported ones apart.

    Raises:
        TypeError: there is none, or several.
    """
    defined = [cls for cls in vars(module).values() if isinstance(cls, type) and cls.__module__ == module.__name__]
    parts = [cls for cls in defined if issubclass(cls, base)]
    if len(parts) != 1:
        raise TypeError(f"{module.__file__} must define exactly one {base.__name__}, found {len(parts)}")
    return parts[0]
