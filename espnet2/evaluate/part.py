"""What a part of an evaluation is, and the loop that computes those that are missing or stale."""

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, TypedDict, TypeVar, cast

from markupsafe import Markup

from espnet2.evaluate.measure import Kind, Measure
from espnet2.evaluate.report.page import Section
from espnet2.evaluate.systems import System
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_value, read_json, write_json

EFFORTS = ("default", "full")
Report = Callable[[str], None]


class LimitedSet(NamedTuple):
    """A set, of which so much is taken."""

    dump_set: Path
    max_frames: int  # at the common rate


@dataclass(frozen=True)
class EvaluationRequest:
    """What is to be evaluated, on what, and how thoroughly. One value for all parts, so that rows are comparable."""

    exp: Path  # exp/<name>: its eval/ gets the files
    train_set: Path  # dump/<set>: units, probes and the choice of the layer come from here
    valid_set: Path  # dump/<set>: the figures come from here
    systems: tuple[System, ...]
    effort: str = "default"  # of EFFORTS
    num_clusters: int = 100
    seeds: tuple[int, ...] = (0,)
    frame_rate: float = 50.0  # frames per second at which all systems are compared
    layers: tuple[int, ...] | None = None  # 1-based; None: all of each model
    max_train_frames: int = 100_000
    max_valid_frames: int = 100_000
    device: str = "cpu"
    alignments: Path | None = None  # folder or file with phones; None: phones.ctm of each set, if it is there
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # of single parts, by name

    @property
    def sets(self) -> tuple[Path, Path]:
        """dump/<set> of both: train, valid."""
        return self.train_set, self.valid_set

    @property
    def limited_sets(self) -> tuple["LimitedSet", "LimitedSet"]:
        """Both with what is taken of them: train, valid."""
        return LimitedSet(self.train_set, self.max_train_frames), LimitedSet(self.valid_set, self.max_valid_frames)

    def __post_init__(self) -> None:
        if self.effort not in EFFORTS:
            raise UserError(f"--eval {self.effort}: expected {' or '.join(EFFORTS)}")
        if self.layers is not None and not self.layers:
            raise UserError("an empty list of layers: leave it out for all layers, or name some")
        if not self.seeds:
            raise UserError("an empty list of seeds: name at least one")


class PartJson(TypedDict, total=False):
    """What the file of every part has, eval/<name>.json. Each part adds keys of its own."""

    part: str  # its name
    hash: str  # of its name and its settings
    settings: Mapping[str, object]
    seconds: float  # that it took
    notes: list[str]  # what people should know, in plain words


Result = TypeVar("Result", bound=PartJson)


class Part(ABC, Generic[Result]):
    """One kind of evaluation: the one subclass in evaluate/<name>/part.py, which `espnet2.evaluate.parts` finds.

    It computes eval/<name>.json, and says what pages and tables show of it.
    """

    name: ClassVar[str]  # of its folder
    order: ClassVar[int]  # among the parts: behind those whose results it uses; also the order of the page
    title: ClassVar[str]  # in a sentence
    summary: ClassVar[str]  # what it tells, in a sentence
    kinds: ClassVar[tuple[Kind, ...]] = ()  # of its measures, in the order of pages

    @abstractmethod
    def settings(self, request: EvaluationRequest) -> Mapping[str, object]:
        """Everything the figures depend on, JSON-able: hashes of sets, systems, alignments; K, seeds, rules."""

    @abstractmethod
    def forecast_seconds(self, request: EvaluationRequest) -> float:
        """A rough upper estimate for this machine, without loading a model for long."""

    @abstractmethod
    def run(self, request: EvaluationRequest, report: Report) -> Result:
        """Its rows and notes, and whatever else its page needs."""

    def measures(self, result: Result) -> list[Measure]:
        """The figures that systems are compared by, of the content of its file; of `kinds`."""
        return []

    def layer_charts(self, result: Result) -> Markup:
        """Charts for "Layer by layer" beside those that every kind of measure has."""
        return Markup("")

    def layer_tables(self, result: Result) -> Markup:
        """All its figures, folded, below the charts of "Layer by layer"."""
        return Markup("")

    def section(self, result: Result | None, folder: Path) -> Section | None:
        """Its own section of the report.

        Args:
            result: the content of its file; None: it was not computed.
            folder: exp/<name>/eval, where files lie that the content names.
        """
        return None


# One of the registry: it gets the content of its own file only, which `read_part` finds by its name.
RegisteredPart = Part[PartJson]


def part_file(exp: Path, name: str) -> Path:
    """Where the result of a part lies."""
    return exp / "eval" / f"{name}.json"


def scratch_folder(exp: Path, name: str) -> Path:
    """Where a part keeps what an interrupted run goes on from, and what other parts may use again."""
    return exp / "eval" / f".{name}"


def read_part(exp: Path, name: str) -> PartJson | None:
    """The result of a part, or None if it was never computed or its file is not readable."""
    result = read_json(part_file(exp, name))
    return cast(PartJson, result) if result is not None and result.get("part") == name else None


def run_parts(
    parts: Sequence[RegisteredPart], request: EvaluationRequest, report: Report, *, fresh: bool = False
) -> list[Path]:
    """Compute what is missing or stale, part by part.

    Args:
        report: gets a line per part, and those of the parts.
        fresh: compute again what is there; nothing that these parts have kept is used, nor does it survive.

    Returns:
        The file of each part.

    Raises:
        UserError: of the parts; the files of those before stay.
    """
    coming = [part for part in parts if fresh or not _is_kept(part, request)]
    forecast = {part.name: part.forecast_seconds(request) for part in coming}
    if forecast:
        total = sum(forecast.values())
        report(f"forecast: {total / 60:.1f} minutes ({', '.join(f'{name} {s:.0f} s' for name, s in forecast.items())})")
    for part in parts if fresh else ():  # all of them now: a run that is stopped goes on with what is new
        part_file(request.exp, part.name).unlink(missing_ok=True)
        shutil.rmtree(scratch_folder(request.exp, part.name), ignore_errors=True)
    for part in parts:
        file = part_file(request.exp, part.name)
        if _is_kept(part, request):  # asked again: a part may use what one before it has just found
            report(f"{part.name}: unchanged, kept ({file})")
            continue
        settings = part.settings(request)
        started = time.monotonic()
        result = part.run(request, report)
        seconds = round(time.monotonic() - started, 1)
        value = {"part": part.name, "hash": _key(part, settings), "settings": settings, "seconds": seconds, **result}
        write_json(file, value)
        report(f"{part.name}: {seconds:.0f} s -> {file}")
    return [part_file(request.exp, part.name) for part in parts]


def _is_kept(part: RegisteredPart, request: EvaluationRequest) -> bool:
    return (read_part(request.exp, part.name) or {}).get("hash") == _key(part, part.settings(request))


def _key(part: RegisteredPart, settings: Mapping[str, object]) -> str:
    return hash_value([part.name, settings])
