"""The run of `ssl_evaluate`: parts of an evaluation in, their files and the tables that people read first out."""

from collections.abc import Sequence
from pathlib import Path

from espnet2.evaluate.part import EvaluationRequest, Report, read_part, run_parts
from espnet2.evaluate.parts import PARTS, find_parts
from espnet2.evaluate.report.together import table_of_systems
from espnet2.evaluate.systems import System
from espnet2.evaluate.units.row import read_units
from espnet2.evaluate.units.table import markdown_table
from espnet2.models.find import find_model
from espnet2.tasks.config import parse_overrides
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write


def part_options(words: Sequence[str]) -> dict[str, dict[str, object]]:
    """Options of single parts, by the name of the part.

    Raises:
        UserError: another form, or no such part.

    >>> part_options(["probes.tasks=[phone]", "probes.linear_ctc=true"])
    {'probes': {'tasks': ['phone'], 'linear_ctc': True}}
    """
    options: dict[str, dict[str, object]] = {}
    for keys, value in parse_overrides(words):
        if len(keys) != 2 or keys[0] not in PARTS:
            raise UserError(f"--options {'.'.join(keys)}: expected <part>.<key>=<value>; parts are {', '.join(PARTS)}")
        options.setdefault(keys[0], {})[keys[1]] = value
    return options


def models_beside(words: Sequence[str], tag: str) -> list[System]:
    """Further models of the tables.

    Raises:
        UserError: a word is not <title>=<exp>, or no such model.
    """
    systems = []
    for word in words:
        title, equals, model = word.partition("=")
        if not (title and equals and model):
            raise UserError(f"--beside '{word}': expected <title>=exp/<name>")
        systems.append(System("model", title, find_model(model, tag)))
    return systems


def evaluate(
    request: EvaluationRequest, parts: Sequence[str], report: Report, *, fresh: bool = False, compare: bool = False
) -> str:
    """Compute the parts of these names, and write eval/units.md where the units are known.

    Args:
        report: gets lines of progress.
        fresh: forget what these parts have kept.
        compare: write eval/table.md, too: all parts that lie there, a row for each system.

    Returns:
        Both tables.

    Raises:
        UserError: an unknown part; and of the parts.
    """
    run_parts(find_parts(parts), request, report, fresh=fresh)
    tables = []
    units = read_units(request.exp)
    if units is not None:
        tables.append(_written(request.exp / "eval" / "units.md", markdown_table(units)))
    if compare:
        results = {name: result for name in PARTS if (result := read_part(request.exp, name)) is not None}
        tables.append(_written(request.exp / "eval" / "table.md", table_of_systems(results)))
    return "".join(tables)


def _written(path: Path, table: str) -> str:
    with atomic_write(path) as stream:
        stream.write(table)
    return table
