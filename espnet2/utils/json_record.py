"""A JSON file and the TypedDict that it keeps to in, its contents with checked keys out."""

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from espnet2.utils.errors import UserError
from espnet2.utils.files import require_json

Record = TypeVar("Record")


def require_record(path: Path, kind: type[Record], remedy: str) -> Record:
    """The object in a JSON file that nothing can do without, found to have the keys of `kind`.

    Keys that `kind` does not name are kept: newer versions may write more. What lists and dictionaries hold is not
    looked at, but for objects that `kind` describes.

    Args:
        kind: a TypedDict.
        remedy: what to do where there is no such file, or it is damaged.

    Raises:
        UserError: it is missing or damaged, or a key is missing or holds something else than it should.
    """
    contents = require_json(path, remedy)
    fault = record_fault(contents, kind)
    if fault:
        raise UserError(f"{path}: {fault}: {remedy}")
    return cast(Record, contents)


def record_fault(contents: Mapping[str, object], kind: type, inside: str = "") -> str:
    """What is wrong with an object that should keep to a TypedDict; "" where nothing is.

    >>> from typing import TypedDict
    >>> Frames = TypedDict("Frames", {"num_frames": int})
    >>> record_fault({"num_frames": 2}, Frames), record_fault({}, Frames), record_fault({"num_frames": "2"}, Frames)
    ('', "lacks 'num_frames'", "has '2' as num_frames")
    """
    for key, hint in get_type_hints(kind).items():
        name = f"{inside}{key}"
        if key not in contents:
            if key in kind.__required_keys__:  # type: ignore[attr-defined]  # of every TypedDict
                return f"lacks '{name}'"
            continue
        value = contents[key]
        if not _fits(value, hint):
            return f"has {repr(value)[:60]} as {name}"
        if is_typeddict(hint) and (fault := record_fault(cast(Mapping[str, object], value), hint, f"{name}.")):
            return fault
    return ""


def _fits(value: object, hint: object) -> bool:
    """Whether a value of JSON has the outermost type that is asked for."""
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if is_typeddict(origin) or origin is Mapping:
        return isinstance(value, dict)
    if origin is float:
        return isinstance(value, int | float)
    return origin is Any or not isinstance(origin, type) or isinstance(value, origin)
