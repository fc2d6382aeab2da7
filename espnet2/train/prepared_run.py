"""A prepared run in, an exp/<name> that is finished, or saved after a stop signal, out: what every training shares."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet2.launch.signals import StopSignals
from espnet2.ssl.model import SSLModel
from espnet2.train.checkpoint import CheckpointFolder
from espnet2.train.compile_choice import Compiled, compile_choice
from espnet2.train.compiled import INEXACT_RESUME
from espnet2.train.config import TrainConfig
from espnet2.train.data import StepPlan, TrainingData
from espnet2.train.distributed import Ranks
from espnet2.train.identity import describe_run
from espnet2.train.observers import Judge, Probe
from espnet2.train.profiling import ProfileWindow, UpdateProfiler
from espnet2.train.reporter import FolderReporter, Reporter, initial_line
from espnet2.train.run import describe_progress
from espnet2.train.state import TrainState
from espnet2.train.tracking import flat_settings, load_writers
from espnet2.train.trainer import Trainer
from espnet2.train.watch import TrainingWatch
from espnet2.utils.device import describe_device
from espnet2.utils.errors import UserError
from espnet2.utils.provenance import record_start

CHECKPOINTS = "checkpoints"  # folder of a run


@dataclass(frozen=True, kw_only=True)
class PreparedRun(ABC):
    """What is trained, on what, how long and where; a subclass says what is written before and after it."""

    config: TrainConfig
    model: SSLModel  # on its device
    data: TrainingData
    steps: StepPlan
    max_update: int
    hashes: Mapping[str, object]  # of all that a resumed run must find unchanged
    directory: Path  # of log, history and checkpoints
    probe: Probe | None = None
    lights: Judge | None = None
    watch: TrainingWatch | None = None
    initial: Mapping[str, float] = field(default_factory=dict)  # of the probe, before the first update
    profile: ProfileWindow | None = None  # updates to look at, on the first rank

    @property
    def model_folder(self) -> Path:
        """exp/<name>: where it is noted which code made the model."""
        return self.directory

    @abstractmethod
    def begin(self, update: int) -> None:
        """On the first rank, once the run is known to fit the checkpoints in its folder, and before its first update.

        Args:
            update: where the run stands.
        """

    @abstractmethod
    def describe(self) -> Sequence[str]:
        """The first lines of the log; asked for after a checkpoint has set the number of threads."""

    def warnings(self) -> Sequence[str]:
        """Settings that are at odds with the data; logged behind the first lines, and shown by the report."""
        return []

    @abstractmethod
    def describe_stop(self, update: int, seconds: float) -> str:
        """Where a stop signal ended the run, and how to go on.

        Args:
            update: that was saved.
            seconds: of wall time since this start.
        """

    @abstractmethod
    def finish(self, state: TrainState) -> str:
        """On the first rank: write the results of the complete run; the last line of the log."""


def finish_run(run: PreparedRun, ranks: Ranks, stop: StopSignals) -> bool:
    """Train, or go on training; True when the run is complete, False when a signal ended it early.

    Raises:
        UserError: see `open_reporter`, `Trainer.resume` and `Trainer.run`.
    """
    reporter = open_reporter(run, ranks)
    trainer = None
    try:
        trainer = _trainer(run, ranks, stop, reporter)
        resumed = trainer.resume()
        code = warning = ""
        if ranks.is_first:
            run.begin(trainer.state.update)
            device = describe_device(ranks.device)
            code, warning = record_start(run.model_folder, update=trainer.state.update, device=device)
        lines = [*run.describe(), trainer.updater.precision.describe(), code]
        lines += [initial_line(trainer.state.initial)] if trainer.state.initial else []
        if resumed:
            lines.append(describe_progress(trainer.state.update, run.max_update))
            if compile_choice(run.config, ranks.device, ranks.world_size) is not Compiled.NOTHING:
                lines.append(INEXACT_RESUME)
        reporter.start(lines, update=trainer.state.update, max_update=run.max_update)
        for text in [*run.warnings(), *([warning] if warning else [])]:
            reporter.warn(text)
        started = time.monotonic()
        if not trainer.run():
            where = run.describe_stop(trainer.state.update, time.monotonic() - started)
            reporter.warn(f"{stop.received}: {where}")
            return False
        if ranks.is_first:
            reporter.say(run.finish(trainer.state))
        return True
    finally:
        if trainer is not None and trainer.profiler is not None:
            trainer.profiler.close()
        reporter.close()


def open_reporter(run: PreparedRun, ranks: Ranks) -> Reporter:
    """Of the first rank the log with the trackers of the config; the other ranks report nothing.

    Raises:
        UserError: on all ranks, where a tracker cannot work: its package is missing, or nobody has logged in.
    """
    failure, writers = None, {}
    if ranks.is_first:
        try:
            writers = load_writers(run.config.tracker)
        except UserError as error:
            failure = str(error)
    if failure := ranks.from_first(failure):
        raise UserError(failure)
    if not ranks.is_first:
        return Reporter()
    settings = flat_settings(run.config.model_dump(mode="json"))
    return FolderReporter(run.directory, writers=writers, settings=settings)


def _trainer(run: PreparedRun, ranks: Ranks, stop: StopSignals, reporter: Reporter) -> Trainer:
    division = {"shard_samples": run.steps.shard_samples, "micro_batches": run.steps.micro_batches}
    return Trainer(
        run.model,
        run.data,
        run.config,
        steps=run.steps,
        max_update=run.max_update,
        folder=CheckpointFolder(run.directory / CHECKPOINTS, tell=reporter.warn),
        identity=describe_run(run.config, run.hashes, division),
        ranks=ranks,
        reporter=reporter,
        stop=stop,
        probe=run.probe,
        lights=run.lights,
        watch=run.watch,
        profiler=_profiler(run, ranks, reporter),
        initial=run.initial,
    )


def _profiler(run: PreparedRun, ranks: Ranks, reporter: Reporter) -> UpdateProfiler | None:
    """Of the first rank, where the user asked for one."""
    if run.profile is None or not ranks.is_first:
        return None
    return UpdateProfiler(run.profile, ranks.device, run.directory / "profile", reporter.say)
