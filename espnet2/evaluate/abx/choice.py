"""What ABX is computed on: the layers, the items and the comparisons, chosen once for all systems."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from espnet2.evaluate.abx.cells import MODES, Cells, make_cells
from espnet2.evaluate.abx.items import Items
from espnet2.evaluate.abx.rule import CONDITIONS, Rule
from espnet2.evaluate.part import EvaluationRequest
from espnet2.evaluate.systems import System
from espnet2.evaluate.units.row import read_units
from espnet2.utils.config import Config, parse_config

MIN_PHONE_PAIRS = 20  # ordered; of fewer, single pairs move the figure by points and the interval means nothing
MAX_TRIPLES = {"default": 200_000, "full": 5_000_000}  # of each mode: seconds and minutes for a layer


class AbxOptions(Config):
    """`options["abx"]` of a request: how the comparisons are thinned out; 0 means no limit.

    The first two defaults are those of Libri-light's eval_ABX.py (max_size_group, max_x_across).
    """

    max_group: int = Field(10, ge=0, description="times that a speaker's phone between the same neighbours is compared")
    max_x: int = Field(5, ge=0, description="other speakers for each A")
    max_triples: int | None = Field(
        None, ge=0, description="of each mode (default: 200,000; with effort full 5,000,000; of item files 0)"
    )
    items: tuple[str, ...] = Field((), description=".item files, or folders of them (default: the phones of the set)")
    conditions: tuple[Literal["triphone-within", "phoneme-within", "phoneme-any"], ...] = Field(
        (), description="of ZeroSpeech 2021 (default: triphone-within; of an item file those that fit its items)"
    )
    clock: Literal["zerospeech", "window"] | None = Field(
        None, description="where frames are (default: window; of item files zerospeech)"
    )

    @field_validator("items", "conditions", mode="before")
    @classmethod
    def _accept_one(cls, value: object) -> object:
        """One word is a list of one."""
        return (value,) if isinstance(value, str) else value

    @property
    def item_paths(self) -> list[Path]:
        """Where official items are; none: those of the set's phones are made."""
        return [Path(path) for path in self.items]

    @property
    def clock_name(self) -> str:
        return self.clock or ("zerospeech" if self.items else "window")

    def describe(self) -> str:
        """The rule as a sentence."""
        rules = [
            f"where a speaker says a phone between the same two neighbours more than {self.max_group} times, "
            f"{self.max_group} of them are compared",
            f"across speakers, X comes from at most {self.max_x} speakers for each A",
            f"of more than {self.max_triples or 0:,} triples of a mode, as many whole contexts are compared as fit",
        ]
        limits = (self.max_group, self.max_x, self.max_triples)
        chosen = "; ".join(rule for rule, limit in zip(rules, limits, strict=True) if limit)
        if not chosen:
            return "No comparison is left out: the limits abx.max_group, abx.max_x and abx.max_triples are all 0"
        return (
            f"How comparisons are thinned out: {chosen}. What is left out is decided by a hash of names, the same for "
            "all systems; abx.max_group, abx.max_x and abx.max_triples change the limits (--options, in a recipe "
            "--eval_args)"
        )


def limits_of(request: EvaluationRequest) -> AbxOptions:
    """The options of this part, checked; the number of triples by effort.

    Raises:
        UserError: an unknown one.
    """
    options = parse_config(AbxOptions, request.options.get("abx"), "options of ABX")
    if options.max_triples is None:
        limit = 0 if options.items else MAX_TRIPLES[request.effort]
        options = options.model_copy(update={"max_triples": limit})
    return options


@dataclass(frozen=True)
class Comparisons:
    """The items of one source under one condition, and what is compared of them."""

    rule: Rule
    items: Items
    cells: list[Cells]


def choose_cells(
    limits: AbxOptions, rule: Rule, items: Items, set_name: str, speakers: Collection[str]
) -> tuple[Comparisons, list[str]]:
    """The comparisons of each mode that has enough, and notes on the others."""
    cells, notes = [], []
    about = "ABX" if rule.condition == CONDITIONS["triphone-within"] else f"{rule.condition.name} ABX"
    for mode in MODES:
        if mode == "across" and len(speakers) == 1:
            notes.append(f"no {about} across speakers: {set_name} has one speaker, {next(iter(speakers))}")
            continue
        mode_cells = make_cells(
            items,
            mode,
            max_x=limits.max_x or None,
            max_triples=limits.max_triples or None,
            by_context=rule.context == "within",
        )
        if mode_cells.num_phone_pairs < MIN_PHONE_PAIRS:
            where = "between the same two phones " if rule.context == "within" else ""
            notes.append(
                f"no {about} {mode} speakers: {set_name} has {mode_cells.num_phone_pairs} pairs of phones that "
                f"occur {where}often enough, at least {MIN_PHONE_PAIRS} are needed; give more utterances"
            )
            continue
        if mode_cells.num_left_out:
            notes.append(
                f"{about} {mode} speakers: {int(mode_cells.num_triples.sum()):,} triples are compared, "
                f"{mode_cells.num_left_out:,} are left out, whole contexts at a time: abx.max_triples is "
                f"{limits.max_triples:,}, 0 compares all"
            )
        cells.append(mode_cells)
    return Comparisons(rule, items, cells), notes


def best_layers(request: EvaluationRequest, system: System) -> tuple[int, ...] | None:
    """The layer with the best units, chosen on train, unless all are asked for (effort "full").

    Returns:
        None: all layers of the request; also where the units of these weights are not known.
    """
    if request.effort == "full":
        return None
    units = read_units(request.exp)
    for row in units.get("rows", []) if units else []:
        owner = [row.get("system"), row.get("title"), row.get("teacher_hash")]
        same = owner == [system.kind, system.title, system.hash]
        if same and row.get("best") and (request.layers is None or row["layer"] in (None, *request.layers)):
            return (row["layer"] or 0,)
    return None
