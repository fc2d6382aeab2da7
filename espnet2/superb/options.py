"""The words of a command line in, rules by task and learning rates out."""

from collections.abc import Sequence
from pathlib import Path

from espnet2.superb.rules import SEARCH_RATES
from espnet2.tasks.config import parse_overrides
from espnet2.utils.config import load_yaml
from espnet2.utils.errors import UserError


def chosen_rates(text: str) -> tuple[float, ...]:
    """Learning rates to search.

    Raises:
        UserError: something else than positive numbers.

    >>> chosen_rates("1e-3 1e-4"), chosen_rates(""), len(chosen_rates("official"))
    ((0.001, 0.0001), (), 7)
    """
    if text == "official":
        return SEARCH_RATES
    try:
        rates = tuple(float(word) for word in text.split())
    except ValueError:
        rates = (0.0,)
    if any(not 0 < rate < float("inf") for rate in rates):
        raise UserError(f"--learning_rates '{text}': expected numbers above 0, such as \"1e-3 1e-4\", or official")
    return tuple(dict.fromkeys(rates))


def rule_sections(file: Path | None, words: Sequence[str]) -> dict[str, object]:
    """Rules by task: of a YAML file, changed by words such as ks.updates=500.

    Raises:
        UserError: the file cannot be read, or a word has another form.

    >>> rule_sections(None, ["ks.updates=500", "ks.balanced=false"])
    {'ks': {'updates': 500, 'balanced': False}}
    """
    sections: dict[str, object] = dict(load_yaml(file)) if file is not None else {}
    for keys, value in parse_overrides(words):
        if len(keys) != 2:
            raise UserError(f"--options {'.'.join(keys)}: expected <task>.<key>=<value>, such as ks.updates=500")
        section = sections.get(keys[0]) or {}
        if not isinstance(section, dict):
            raise UserError(f"{file}: {keys[0]}: expected 'key: value' lines")
        sections[keys[0]] = {**section, keys[1]: value}
    return sections
