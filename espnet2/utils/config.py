"""The base of all configs: frozen and typed; an unknown key is refused with the nearest known one."""

import difflib
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from espnet2.utils.errors import UserError
from espnet2.utils.recipe import find_in_recipe

_TAGS = "tags"  # key of `json_schema_extra`


class Config(BaseModel):
    """Base of every section: frozen, typed, no unknown keys. Subclasses sit beside the class they configure."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


ConfigType = TypeVar("ConfigType", bound=Config)
WRONG_SECTION = "wrong_section"  # the type of an error whose text is finished, but for the name of the file


class Tag(str, Enum):
    """What a key means besides its value: `Field(..., json_schema_extra=tagged(Tag.FREE_ON_RESUME))`.

    A key that a subclass declares anew needs its tags anew.
    """

    FREE_ON_RESUME = "free on resume"  # may change between two parts of a run: moves no weight that is there already
    NO_CURVE = "no part of the curve"  # two runs that differ in it have the same curves, up to chance
    HOW_TRAINED = "free with init_from"  # not what a part is: the weights of a model fit with any value


def tagged(*tags: Tag) -> dict[str, JsonValue]:
    """Tags as `json_schema_extra` of a Field."""
    return {_TAGS: [tag.value for tag in tags]}


def tagged_keys(config: type[Config], tag: Tag) -> frozenset[str]:
    """The keys of a class, those of its sections apart, that carry a tag."""
    return frozenset(name for name, field in config.model_fields.items() if tag in tags_of(field))


def dump_without(config: Config, tag: Tag) -> dict[str, Any]:
    """The config as JSON has it, but for the keys that carry a tag, in its sections too."""
    values = config.model_dump(mode="json")
    names = [name for name in _untagged(config, tag) if name in values]  # a config may leave keys out
    return {name: _pruned(getattr(config, name), values[name], tag) for name in names}


def _untagged(config: Config, tag: Tag) -> list[str]:
    left_out = tagged_keys(type(config), tag)
    return [name for name in type(config).model_fields if name not in left_out]


def _pruned(value: object, dumped: Any, tag: Tag) -> Any:
    """What was dumped of a value, without tagged keys of the sections in it."""
    if isinstance(value, Config):
        names = [name for name in _untagged(value, tag) if name in dumped]  # a section may leave keys out
        return {name: _pruned(getattr(value, name), dumped[name], tag) for name in names}
    if isinstance(value, list | tuple) and any(isinstance(entry, Config) for entry in value):
        return [_pruned(entry, dumped_entry, tag) for entry, dumped_entry in zip(value, dumped, strict=True)]
    return dumped


def tags_of(field: FieldInfo) -> tuple[Tag, ...]:
    """The tags of a key, in their order."""
    extra = field.json_schema_extra
    tags = extra.get(_TAGS, []) if isinstance(extra, dict) else []
    return tuple(Tag(tag) for tag in tags) if isinstance(tags, list) else ()


class _Loader(yaml.SafeLoader):
    """The safe loader that also reads 5e-4 as a number (YAML 1.2 does; PyYAML asks for 5.0e-4) and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.MarkedYAMLError(problem="a key that is no plain word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' appears twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text, such as one given on a command line; raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def parse_config(cls: type[ConfigType], values: Mapping[str, Any] | None, where: str) -> ConfigType:
    """Check `values` and make a `cls` of them.

    Args:
        where: named in the error, such as "conf/train.yaml: encoder_conf".

    Raises:
        UserError: an unknown key (with the nearest known one), a missing key or a value of the wrong type.
    """
    try:
        return cls.model_validate(dict(values or {}))
    except ValidationError as error:
        raise UserError(_explain_all(cls, where, error)) from None


def parse_section(cls: type[ConfigType], value: object, section: str) -> ConfigType:
    """In a "before" validator, make a `cls` of a section whose class another key names; one made already stays.

    Args:
        value: as YAML gives it, or a `cls`.
        section: named in the error, such as "encoder_conf"; `parse_config` puts the file before it.

    Raises:
        PydanticCustomError: what is wrong inside, in the words of `parse_config`.
        ValueError: `value` is no section.
    """
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("Input should be a valid dictionary")
    try:
        return cls.model_validate(dict(value))
    except ValidationError as error:
        raise PydanticCustomError(WRONG_SECTION, "{lines}", {"lines": _explain_all(cls, section, error)}) from None


def _explain_all(cls: type[Config], where: str, error: ValidationError) -> str:
    """One line per mistake; a list that is too short only because its entries are wrong is none."""
    problems = error.errors()
    inner = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
    told = [problem for problem in problems if not (problem["type"] == "too_short" and problem["loc"] in inner)]
    return "\n".join(_explain(cls, where, problem) for problem in told)


def _explain(cls: type[Config], where: str, problem: Mapping[str, Any]) -> str:
    if problem["type"] == WRONG_SECTION:
        return "\n".join(f"{where}: {line}" for line in problem["msg"].splitlines())
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = sorted(_known_keys(cls, problem["loc"][:-1]))
        key = str(problem["loc"][-1])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"{where}: unknown key '{path}'; {hint}known keys are {', '.join(known)}"
    if problem["type"] == "missing":
        return f"{where}: '{path}' is required"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: '{path}' is {problem['input']!r}: {message}" if path else f"{where}: {message}"


def _known_keys(cls: type[Config], location: tuple) -> list[str]:
    """The keys of the nested section an error points into (falls back to the outer section)."""
    for part in location:
        field = cls.model_fields.get(part) if isinstance(part, str) else None
        cls = (_section(field.annotation) if field else None) or cls
    return list(cls.model_fields)


def _section(annotation: Any) -> type[Config] | None:
    """The Config in a type such as Section, Section | None or tuple[Section, ...]; None if it has none."""
    if get_args(annotation):  # before the test below: tuple[...] passes for a type in Python 3.10
        return next(filter(None, map(_section, get_args(annotation))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Config) else None


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping with the safe loader; a config that a recipe lacks is read from its template.

    Raises:
        UserError: the file is missing, not YAML, or not a mapping.
    """
    path = Path(path)
    try:
        values = parse_yaml(find_in_recipe(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; convert the file with iconv") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected 'key: value' lines at the top, found a {type(values).__name__}")
    return values
