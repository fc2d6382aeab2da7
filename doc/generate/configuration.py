"""The typed classes behind training configs in, doc/reference/<page>.md out: every key, type, default and meaning.

Usage: python doc/generate/configuration.py     writes what is not up to date
"""

import inspect
import re
import sys
import types
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pages import ROOT, escaped, header, row, write
from pydantic.fields import FieldInfo

sys.path.insert(0, str(ROOT))

from espnet2.evaluate.abx.choice import AbxOptions
from espnet2.evaluate.probes.part import ProbeOptions
from espnet2.evaluate.unit_lm.part import UnitLmOptions
from espnet2.finetune.config import FinetuneConfig
from espnet2.ssl.adapt import LoraConfig
from espnet2.ssl.encoder import encoder_class, encoder_names
from espnet2.ssl.frontend import frontend_class, frontend_names
from espnet2.ssl.modules.run_share import RunShare
from espnet2.ssl.objective import objective_class, objective_names
from espnet2.superb.registry import find_tasks, task_names
from espnet2.superb.rules import Rules
from espnet2.tasks.config import SSLConfig
from espnet2.train.config import TrainConfig
from espnet2.train.optimizer import AdamWConfig
from espnet2.train.scheduler import SCHEDULES
from espnet2.unit_lm.config import DecoderConfig, UnitLmConfig
from espnet2.utils.config import Config, tags_of

SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "file", Any: "any"}


class Section(NamedTuple):
    """One table: a heading and the class whose keys it lists."""

    title: str
    config: type[Config]
    base: type[Config] | None = None  # keys that are as in this class are left out
    path: str = ""  # of the section in a config: part of the keys' names


def kind(annotation: Any) -> str:
    """A type in words.

    >>> kind(int), kind(tuple[float, float]), kind(Literal["a", "b"])
    ('whole number', '[number, number]', '`a`, `b`')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return "share of the run, such as `10%`" if arguments[1:] == get_args(RunShare)[1:] else kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(argument) for argument in arguments if argument is not type(None)))
    if origin in (tuple, list):
        if arguments[-1] is ... or origin is list:
            return f"list of: {kind(arguments[0])}"
        return f"[{', '.join(kind(argument) for argument in arguments)}]"
    if origin is dict:
        return "section"
    if isinstance(annotation, type) and hasattr(annotation, "_fields"):  # a NamedTuple
        return f"[{', '.join(annotation._fields)}]"
    return PLAIN.get(annotation) or "section"


def values_of(field: FieldInfo) -> str:
    """What values a key takes: "number > 0, ≤ 1, or none"."""
    rules = [(sign, getattr(rule, name, None)) for rule in field.metadata for name, sign in SIGNS.items()]
    limits = ", ".join(f"{sign} {limit:g}" for sign, limit in rules if limit is not None)
    none = ", or none" if type(None) in get_args(field.annotation) else ""
    return f"{kind(field.annotation)} {limits}".rstrip() + none


def plain(value: Any) -> str:
    """A default as it is written in YAML.

    >>> plain((0.9, 0.98)), plain(True), plain(None), plain(5e-06)
    ('[0.9, 0.98]', 'true', '', '5e-06')
    """
    if isinstance(value, Config):
        return "below"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(plain(item) for item in value)}]"
    if isinstance(value, Enum):
        return str(value.value)
    return "" if value is None else "{}" if value == {} else str(value)


def default_of(field: FieldInfo) -> str:
    """The default of a key, for a table."""
    if field.is_required():
        return "**required**"
    text = plain(field.get_default(call_default_factory=True))
    return text if text in ("", "below") else f"`{text}`"


def is_inherited(name: str, field: FieldInfo, base: type[Config] | None) -> bool:
    """Whether a key is the same in the base."""
    other = base.model_fields.get(name) if base else None
    return other is not None and (other.annotation, other.default, other.description) == (
        field.annotation, field.default, field.description,
    )  # fmt: skip


def groups(config: type[Config]) -> dict[str, str]:
    """Key -> the comment line above its group in the source of the class ("# batches")."""
    group_of_key, group = {}, ""
    for line in inspect.getsource(config).splitlines():
        comment, key = re.match(r"    # (.*)", line), re.match(r"    (\w+): ", line)
        if comment:
            group = comment[1]
        elif key:
            group_of_key[key[1]] = group
    return group_of_key


def table(section: Section) -> list[str]:
    """The keys of a section, and of the sections inside it."""
    comments = groups(section.config) if section.config is TrainConfig else {}
    lines: list[str] = []
    inner: list[Section] = []
    group = None
    for name, field in section.config.model_fields.items():
        if is_inherited(name, field, section.base):
            continue
        if not lines or comments.get(name) != group:
            group = comments.get(name)
            lines += ["", f"**{group.capitalize()}**"] if group else []
            lines += ["", *header("key", "value", "default", "meaning")]
        other = section.base.model_fields.get(name) if section.base else None
        text = field.description or (other.description if other else None) or ""
        tags = f" *({', '.join(tag.value for tag in tags_of(field))})*" if tags_of(field) else ""
        lines.append(row(f"`{name}`", values_of(field), default_of(field), escaped(text) + tags))
        path = f"{section.path}{name}"
        if not name.endswith("conf"):  # another key names their class: each of these has a table of its own
            inner += [Section(path, inner_config, path=f"{path}.") for inner_config in sections_in(field.annotation)]
    for inner_section in inner:
        lines += ["", f"### {inner_section.title}", "", *first_paragraph(inner_section.config), *table(inner_section)]
    return lines


def sections_in(annotation: Any) -> Iterable[type[Config]]:
    """The Config classes in a type, but for those that have a page of their own."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, Config) else []
    return [config for argument in get_args(annotation) for config in sections_in(argument)]


def first_paragraph(config: type[Config]) -> list[str]:
    """What a class says about itself."""
    text = inspect.cleandoc(config.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return [escaped(text)] if text else []


def page(title: str, text: str, sections: Iterable[Section]) -> str:
    """One page of the reference."""
    lines = [f"# {title}", "", "Made by `doc/generate/configuration.py` of the classes that check every config.", text]
    for section in sections:
        lines += ["", f"## {section.title}", "", *first_paragraph(section.config), *table(section)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def all_pages() -> dict[str, str]:
    """Repository path -> text."""
    schedules = [Section(f"scheduler_conf of {name}", cls) for name, cls in SCHEDULES.items()]
    training = [Section("Training", TrainConfig), Section("optim_conf of adamw", AdamWConfig)]
    training += [Section("adapt_conf of lora", LoraConfig), *schedules]
    model = [Section("The model's sections", SSLConfig, TrainConfig)]
    model += [Section(f"frontend_conf of {name}", frontend_class(name).Config) for name in frontend_names()]
    model += [Section(f"encoder_conf of {name}", encoder_class(name).Config) for name in encoder_names()]
    losses = [Section(name, objective_class(name).Config) for name in objective_names()]
    after = [Section("Fine-tuning", FinetuneConfig, TrainConfig), Section("Probes", ProbeOptions)]
    after += [Section("ABX", AbxOptions), Section("Units as language, in stage 8", UnitLmOptions)]
    after += [Section("Unit language models", UnitLmConfig, TrainConfig)]
    after += [Section("decoder_conf of these", DecoderConfig)]
    superb = [Section("All tasks", Rules)]
    superb += [Section(f"{task.name}: {task.title}", task.rules_type, Rules) for task in find_tasks(task_names())]
    override = 'On the command line: `--ssl_args "--{}"` of `ssl1`, `--hubert_args` of `hubert1`.'
    texts = {
        "training": (
            "Training keys",
            "The top level of a config. " + override.format("optim_conf lr=1e-4") + "\n\n"
            "A key that is *free on resume* may change when a run goes on. "
            "One that is *no part of the curve* may differ from the run that the traffic light compares with.",
            training,
        ),
        "model": (
            "Frontends and encoders",
            override.format("encoder_conf num_layers=6") + "\n\n"
            "A key that is *free with init_from* may differ from the model that a training starts from.",
            model,
        ),
        "objectives": (
            "Keys of objectives",
            "These are `conf:` of each entry of `loss:`. " + override.format("loss hubert.conf.mask_span=5"),
            losses,
        ),
        "superb": (
            "Rules of SUPERB",
            "On the command line: `ssl_superb --options <task>.<key>=<value>`. Defaults are official. What differs is "
            "said in every result. A task's table holds what it has besides all tasks, or otherwise.",
            superb,
        ),
        "after_training": (
            "Fine-tuning, probes, ABX and unit language models",
            "`espnet2.bin.ssl_finetune` and `ssl_unit_lm` take all training keys, and those below; "
            'the probes and ABX of stage 8 take theirs from `--eval_args "probes.<key>=<value> abx.<key>=<value>"`.',
            after,
        ),
    }
    return {f"doc/reference/{name}.md": page(*content) for name, content in texts.items()}


if __name__ == "__main__":
    write(all_pages())
