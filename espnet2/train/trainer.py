"""The one training loop, the same from one CPU to many GPUs."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from torch import Tensor

from espnet2.data.dataset import Loaded
from espnet2.data.loader import iterate_batches
from espnet2.launch.signals import StopSignals
from espnet2.ssl.model import SSLModel
from espnet2.train.checkpoint import CheckpointFolder
from espnet2.train.config import TrainConfig
from espnet2.train.data import StepPlan, TrainingData
from espnet2.train.distributed import Ranks
from espnet2.train.due import Due
from espnet2.train.flags import Begun, Flags, SharedFlags, reads_late
from espnet2.train.forgetting import forgetting_line
from espnet2.train.identity import Identity, check_same_run
from espnet2.train.interval import Interval
from espnet2.train.meter import Meter
from espnet2.train.observers import Judge, Probe
from espnet2.train.profiling import UpdateProfiler
from espnet2.train.reporter import Reporter
from espnet2.train.run import restore_threads
from espnet2.train.saver import Saver
from espnet2.train.saving import restore_states
from espnet2.train.state import TrainState, Validation, is_stale
from espnet2.train.updater import Prepared, Updater, prepare
from espnet2.train.validate import measure
from espnet2.train.watch import TrainingWatch
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

SHOWN_UTTERANCES = 8  # of a skipped update, in the log


class Trainer:
    """One run, from wherever its folder says it stands, to its end or to a stop signal."""

    def __init__(
        self,
        model: SSLModel,
        data: TrainingData,
        config: TrainConfig,
        *,
        steps: StepPlan,
        max_update: int,
        folder: CheckpointFolder,
        identity: Identity,
        ranks: Ranks,
        reporter: Reporter,
        stop: StopSignals,
        probe: Probe | None = None,
        lights: Judge | None = None,
        watch: TrainingWatch | None = None,
        profiler: UpdateProfiler | None = None,
        initial: Mapping[str, float] | None = None,
    ) -> None:
        self.model, self.data, self.config = model, data, config
        self.steps, self.max_update = steps, max_update
        self.folder, self.identity, self.ranks, self.reporter, self.stop = folder, identity, ranks, reporter, stop
        self.probe, self.lights, self.profiler = probe, lights, profiler
        self.updater = Updater(model, config, ranks, max_update=max_update)
        self.saver = Saver(folder, config, self.updater, ranks, identity)
        self.state = TrainState(initial=dict(initial or {}))  # what the probe finds before the first update
        self.since_validation = Meter()
        self.interval = Interval()
        self.watch = watch or TrainingWatch(model)
        self.reads_late = reads_late(config, model, ranks)
        self.unread: Begun | None = None  # its step is launched, its flags are not read
        self.due = Due(config, max_update)
        self.clock = time.monotonic()

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint, if there is one.

        Raises:
            UserError: it belongs to another run: other data, labels or config.
        """
        checkpoint = self.folder.load_latest() if self.ranks.is_first else None
        directory = self.ranks.from_first(checkpoint.directory if checkpoint else None)
        if directory is None:
            return False
        checkpoint = checkpoint or self.folder.open(directory)
        training = checkpoint.training
        check_same_run(training["identity"], self.identity, self.config, checkpoint.directory)
        self.state = TrainState.from_json(training["state"])
        meter = Meter.from_json(training["since_validation"], self.ranks.device)
        self.since_validation = meter if self.ranks.is_first else meter.zeroed()  # the sums are those of all ranks
        restore_states(self.updater, checkpoint)
        if warning := restore_threads(training["num_threads"], self.config.num_threads):
            self.reporter.warn(warning)
        if warning := self.updater.precision.restore(training.get("precision", "fp32")):
            self.reporter.warn(warning)
        return True

    def run(self) -> bool:
        """Train; True when the run is complete, False when a signal ended it early."""
        self.model.train()
        # Closed also by an error: loader processes are deaf to SIGTERM, and Python's exit would wait for them.
        with closing(self._batches()) as batches, closing(self.saver):
            upcoming = self._fetch(batches) if not self._is_finished() else []
            while not self._is_finished():
                upcoming, must_stop = self._update(upcoming, batches)
                if must_stop and not self._is_finished():
                    self.saver.wait()
                    return False
        if not self.state.validations:  # max_update was lowered to less than the run had reached
            self._validate()
            self._save()
        self.saver.complete(self.state.validations)
        return True

    def _update(self, current: list[Prepared], batches: Iterator[Loaded]) -> tuple[list[Prepared], bool]:
        """One update: the batches of the next one, and whether to stop.

        Whether weights, schedule and teachers may move depends on flags of all ranks. Where the device can drop a step
        by itself the host reads them when the next update is under way, under the number that it has if all is well.
        """
        begun = self._begin(current)
        upcoming = self._fetch(batches)  # loaded and copied while the device still computes
        if self.unread is not None:
            flags = self._settle(self.unread)
            self.unread = None
            if flags.must_stop:  # what was begun is computed again when the run goes on
                self.updater.drop()
                return upcoming, True
            if flags.is_nonfinite:  # the device took no step: this update has its number, and is computed anew
                self.updater.drop()
                begun = self._begin(current)
        if self.reads_late and not self.due.anything(begun.update):
            self.updater.finish_unread(begun.update, begun.flags.is_nonfinite)
            self.unread = begun
            return upcoming, False
        is_finite = not begun.flags.read().is_nonfinite
        self.updater.finish(begun.update, is_finite=is_finite)
        return upcoming, self._settle(begun).must_stop

    def _begin(self, batches: Sequence[Prepared]) -> Begun:
        update = self.state.update + (2 if self.unread else 1)
        if self.profiler is not None:
            self.profiler.before_update(update)
        launched = self.updater.launch(batches, update)
        # One small sum for all that the ranks must decide alike: drop the update, stop, save.
        stop, save = self.stop.received is not None, self.ranks.is_first and self.due.checkpoint(update)
        failed = self.saver.has_failed
        flags = SharedFlags(launched.is_nonfinite, self.ranks, must_stop=stop, must_save=save, save_failed=failed)
        return Begun(update, batches, launched, flags)

    def _settle(self, begun: Begun) -> Flags:
        """Account for an update whose step is taken or dropped; the one read per update."""
        flags = begun.flags.read()
        if flags.save_failed:
            self.saver.wait()  # raises on all ranks
        self._count(begun.batches, is_finite=not flags.is_nonfinite)
        if flags.is_nonfinite:
            self._report_skipped(begun.batches)
        else:
            self._record(begun.launched.meter, begun.launched.norm)
        self._after_update(is_finite=not flags.is_nonfinite, must_save=flags.must_save or flags.must_stop)
        return flags

    def _batches(self) -> Generator[Loaded, None, None]:
        stream = self.data.sampler.stream(self.state.cursor, rank=self.ranks.rank, world_size=self.ranks.world_size)
        pin_memory = self.ranks.device.type == "cuda"
        return iterate_batches(self.data.train, stream, num_workers=self.config.num_workers, pin_memory=pin_memory)

    def _fetch(self, batches: Iterator[Loaded]) -> list[Prepared]:
        """The micro-batches of the next update of this rank."""
        prepared = []
        for _ in range(self.steps.accumulation):
            started = time.monotonic()
            with self.stop.waiting_for_data():
                loaded = next(batches)
            waited = time.monotonic() - started
            self.interval.wait_seconds += waited
            if self.profiler is not None:
                self.profiler.waited(waited)
            prepared.append(prepare(self.model, loaded, self.ranks.device))
        return prepared

    def _is_finished(self) -> bool:
        criterion = self.config.best_model_criterion[0]
        return self.state.update >= self.max_update or is_stale(self.state.validations, criterion, self.config.patience)

    def _count(self, batches: Sequence[Prepared], *, is_finite: bool) -> None:
        """Move the state on: data are consumed in any case, the rest moves only with the weights."""
        now = time.monotonic()
        self.state = replace(
            self.state,
            update=self.state.update + is_finite,
            cursor=self.data.sampler.advanced(self.state.cursor, self.steps.micro_batches),
            skipped=self.state.skipped + (not is_finite),
            skipped_in_row=0 if is_finite else self.state.skipped_in_row + 1,
            train_seconds=self.state.train_seconds + now - self.clock,
        )
        self.clock = now
        self.interval.num_samples += sum(item.num_samples for item in batches)
        self.reporter.beat(self.state.update)

    def _record(self, meter: Meter, norm: Tensor) -> None:
        self.interval.meter.merge(meter)
        self.since_validation.merge(meter)
        self.interval.norms.append(norm.detach())
        self.interval.updates += 1

    def _report_skipped(self, batches: Sequence[Prepared]) -> None:
        """Name the update and its utterances; give up after too many in a row.

        Raises:
            UserError: `max_nonfinite` updates in a row were not finite.
        """
        self.interval.skipped += 1
        rank_names = [name for item in batches for name in item.batch.utt_ids]
        names = [name for part in self.ranks.gather(rank_names) for name in part]
        what = (
            f"update {self.state.update + 1} (micro-batch {batches[0].number}): loss or gradient is not finite; "
            f"skipped; utterances {first_names(names, SHOWN_UTTERANCES)}"
        )
        self.reporter.warn(what)
        if self.state.skipped_in_row >= self.config.max_nonfinite:
            raise UserError(
                f"{what}. This was number {self.state.skipped_in_row} in a row (max_nonfinite): the training has "
                "diverged; lower optim_conf lr or use dtype bf16; run.sh goes on from the last checkpoint"
            )

    def _after_update(self, *, is_finite: bool, must_save: bool) -> None:
        """Log, validate and save, when it is time to."""
        if is_finite and self.due.log(self.state.update):
            self._log()
        if is_finite and self.due.validation(self.state.update):
            self._validate()
            must_save = True
        if must_save:
            self._save()

    def _log(self) -> None:
        update = self.state.update
        figures = self.interval.read(
            self.ranks,
            update=update,
            max_update=self.max_update,
            epoch=self.state.cursor.epoch,
            skipped_in_all=self.state.skipped,
            learning_rate=self.updater.learning_rate(update),
            grad_clip=self.config.grad_clip,
            sample_rate=self.data.train.index.sample_rate,
        )
        self.reporter.interval(figures)
        for text in self.watch.look(figures.figures, update):
            self.reporter.warn(text)
        self.interval = Interval()

    def _validate(self) -> None:
        started = time.monotonic()
        self.saver.wait()  # loader processes are forked: no thread may be at work
        valid, problems = measure(
            self.model,
            self.data,
            self.probe,
            ranks=self.ranks,
            precision=self.updater.precision,
            num_workers=self.config.num_workers,
            is_sharded=self.updater.replica.sharded,
        )
        for problem in problems:
            self.reporter.warn(problem)
        validation = Validation(self.state.update, self.since_validation.read(self.ranks), valid)
        self.since_validation = Meter()
        self.state = self.state.validated(validation)
        self.reporter.validation(validation, time.monotonic() - started)
        if line := forgetting_line(self.state.initial, valid):
            self.reporter.say(line)
        if self.lights is not None:
            self.reporter.light(*self.lights.look(self.state.validations, self.state.initial))
        for text in self.watch.look_at_probe(self.state.initial, valid, self.state.update):
            self.reporter.warn(text)
        self.interval.started += time.monotonic() - started  # the speed in the log is that of training alone

    def _save(self) -> None:
        started = time.monotonic()
        self.saver.save(self.state, self.since_validation)
        self.due.saved()
        self.interval.started += time.monotonic() - started
