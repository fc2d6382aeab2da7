"""exp/<name> in, all that a page needs of it out; whatever is missing is None or empty, never an error."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from espnet2.evaluate.measure import Measure
from espnet2.evaluate.part import PartJson, part_file, read_part
from espnet2.evaluate.report.measures import measures_of
from espnet2.evaluate.report.stages import StageTime, read_stages
from espnet2.evaluate.units.row import UnitsJson
from espnet2.pretrain.run_files import DONE_NAME, LIGHTS_NAME, DoneJson, LightsJson
from espnet2.train.history import HistoryLine, read_history
from espnet2.utils.errors import UserError
from espnet2.utils.files import read_json
from espnet2.utils.provenance import Start, read_starts

LEVELS_UP = 3  # exp/stages.tsv lies beside exp/<name>, or a folder or two above it
LOG_LINE = re.compile(r"(?P<time>[\d-]+ [\d:]+) (?P<level>[A-Z]+) (?P<text>.*)")
TRAINING_STAGE = 7  # from here on a line of stages.tsv is of one experiment, which its title names


@dataclass(frozen=True)
class Warned:
    """One kind of warning of a training."""

    text: str  # as it was said last
    count: int


@dataclass(frozen=True)
class TrainingLog:
    """What train.log says besides figures."""

    facts: tuple[tuple[str, str], ...] = ()  # (what, its description): of the last start
    warnings: tuple[Warned, ...] = ()
    first_time: str = ""
    last_time: str = ""
    num_starts: int = 0


@dataclass(frozen=True)
class Experiment:
    """A training and its evaluation, as far as they got."""

    directory: Path
    history: list[HistoryLine]
    log: TrainingLog
    done: DoneJson | None  # train.done: None if the training has not ended
    parts: dict[str, PartJson]  # name -> content of eval/<name>.json
    unreadable: tuple[str, ...]  # files of eval/ that are there, and are no JSON of a part
    damaged: tuple[str, ...]  # train.done and traffic_light.json, where they are no JSON
    stages: list[StageTime]
    lights: LightsJson | None  # traffic_light.json: the training beside reference curves
    starts: list[Start]  # which code ran, from the first start to the last

    @property
    def name(self) -> str:
        return self.directory.resolve().name

    @cached_property
    def measures(self) -> list[Measure]:
        return measures_of(self.parts)

    @property
    def units(self) -> UnitsJson | None:
        """The content of eval/units.json."""
        return cast(UnitsJson | None, self.parts.get("units"))

    @property
    def config_file(self) -> Path:
        return self.directory / "config.yaml"

    @property
    def updates(self) -> int | None:
        """How far the training got."""
        ended = self.done.get("updates") if self.done else None
        return max((line.update for line in self.history), default=ended)

    @property
    def heard_seconds(self) -> float | None:
        """Seconds of audio that the training heard, repetitions included."""
        audio = [line.figures["audio_per_update"] for line in self.history if "audio_per_update" in line.figures]
        return sum(audio) / len(audio) * self.updates if audio and self.updates else None


def read_experiment(directory: str | Path) -> Experiment:
    """Read everything that is there.

    Raises:
        UserError: there is no such folder, or neither a training nor an evaluation in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"{directory}: no such experiment; expected a folder exp/<name> that stage 7 has written")
    files = sorted((directory / "eval").glob("*.json"))
    parts = {path.stem: read_part(directory, path.stem) for path in files}
    files_of_training = [directory / name for name in (DONE_NAME, LIGHTS_NAME)]
    read = Experiment(
        directory=directory,
        history=read_history(directory),
        log=_read_log(directory / "train.log"),
        done=cast(DoneJson | None, read_json(directory / DONE_NAME)),
        parts={name: part for name, part in parts.items() if part is not None},
        unreadable=tuple(str(part_file(directory, name)) for name, part in parts.items() if part is None),
        damaged=tuple(str(path) for path in files_of_training if path.exists() and read_json(path) is None),
        stages=_stages_of(directory),
        lights=cast(LightsJson | None, read_json(directory / LIGHTS_NAME)),
        starts=read_starts(directory),
    )
    if not (read.history or read.parts or read.done or read.config_file.is_file()):
        raise UserError(f"{directory}: neither history.jsonl nor config.yaml nor eval/ in it; is it an experiment?")
    return read


@contextmanager
def figures_as_written(source: str | Path) -> Iterator[None]:
    """Make one message of what a page cannot do with the figures in files that were edited or damaged.

    Raises:
        UserError: the block met a figure of another type, or one that is missing.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{source}: a figure in eval/*.json, train.done or traffic_light.json is not what the page expects "
            f"({type(error).__name__}: {error}): was a file edited, or is it of another version? Compute it again: "
            "stage 8, or ssl_evaluate --fresh"
        ) from error


def _read_log(path: Path) -> TrainingLog:
    """Facts are the "what: description" lines before the first update of the last start."""
    if not path.is_file():
        return TrainingLog()
    facts: dict[str, str] = {}
    warned: dict[str, Warned] = {}
    times, starts = [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        matched = LOG_LINE.match(line)
        if not matched:
            continue
        times.append(matched["time"])
        what, colon, description = matched["text"].partition(": ")
        if matched["level"] != "INFO":
            kind = re.sub(r"[\d.]+", "#", matched["text"])
            warned[kind] = Warned(matched["text"], warned[kind].count + 1 if kind in warned else 1)
        elif colon and not re.search(r"\d", what):
            if what == "model":
                facts, starts = {}, starts + 1
            facts.setdefault(what, description)
    facts.pop("done", None)
    return TrainingLog(tuple(facts.items()), tuple(warned.values()), *_ends(times), starts)


def _ends(times: list[str]) -> tuple[str, str]:
    return (times[0], times[-1]) if times else ("", "")


def _stages_of(directory: Path) -> list[StageTime]:
    """The last run of each stage before training, and every line of later stages that names this experiment."""
    table = None
    for folder in list(directory.resolve().parents)[:LEVELS_UP]:
        if (folder / "stages.tsv").is_file():
            table = folder / "stages.tsv"
            break
    if table is None:
        return []
    name = re.compile(rf"/{re.escape(directory.resolve().name)}($|[/\s,;])")
    earlier: dict[tuple[str, str], StageTime] = {}
    later = []
    for stage in read_stages(table):
        if not stage.number.isdigit() or int(stage.number) < TRAINING_STAGE:
            earlier[stage.script, stage.number] = stage
        elif name.search(stage.title):
            later.append(stage)
    return [*earlier.values(), *later]
