"""The run of a training, from its checks to a finished (or interrupted) exp/<name>."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from espnet2.data.labels.sets import UNNAMED
from espnet2.launch.signals import StopSignals
from espnet2.models.locate import cache_folder
from espnet2.pretrain.division import divide_batch
from espnet2.pretrain.initial import load_all
from espnet2.pretrain.inputs import DataPaths, Inputs, add_statistics, make_data, open_inputs
from espnet2.pretrain.observers import measure_initial, open_observers
from espnet2.pretrain.old_domain import open_old_domain
from espnet2.pretrain.probe import QuickProbe, open_probe
from espnet2.pretrain.run_files import DONE_NAME, DoneJson
from espnet2.pretrain.teachers import describe_teachers, give_teachers, hash_teachers, load_teachers, with_teachers
from espnet2.ssl.adapt import describe_adapters
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import build, count_parameters, with_num_classes
from espnet2.tasks.config import SSLConfig, dump_config
from espnet2.train.best import NUM_RESUMABLE
from espnet2.train.checkpoint import CheckpointFolder
from espnet2.train.compile_choice import Compiled, compile_choice
from espnet2.train.compiled import keep_kernels
from espnet2.train.data import StepPlan, TrainingData
from espnet2.train.distributed import Ranks
from espnet2.train.freeze import freeze_parameters
from espnet2.train.layer_decay import describe_factors
from espnet2.train.meter import tally
from espnet2.train.prepared_run import CHECKPOINTS, PreparedRun, finish_run
from espnet2.train.profiling import ProfileWindow
from espnet2.train.progress import count_restarts, is_restart
from espnet2.train.run import default_threads, seed_all, total_updates
from espnet2.train.state import TrainState
from espnet2.utils.clock import format_seconds
from espnet2.utils.device import describe_device
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, write_json
from espnet2.utils.show import format_bytes

FLOAT_BYTES = 4
ADAM_COPIES = 3  # weights and two moments


def train(
    config: SSLConfig,
    paths: DataPaths,
    output_dir: Path,
    ranks: Ranks,
    stop: StopSignals,
    *,
    on_start: Callable[[], object] = lambda: None,
    reference: Path | None = None,
    profile: ProfileWindow | None = None,
) -> bool:
    """Train, or go on training, in exp/<name>; True when the run is complete.

    Args:
        reference: curves to compare with, if there are any: see `find_reference_file`.
        profile: updates to profile, on the first rank.
        on_start: called on the first rank once the run is known to fit what is in exp/<name>, before it changes there.

    Raises:
        UserError: see `open_inputs`, `make_data`, `count_restarts`, `Trainer.resume` and `Trainer.run`.
    """
    inputs = open_inputs(config, paths)
    config = with_num_classes(config, inputs.num_classes, inputs.num_codebooks)
    if failure := ranks.from_first(refuse_restart(output_dir) if ranks.is_first and is_restart() else None):
        raise UserError(failure)
    torch.set_num_threads(config.num_threads or default_threads(ranks))
    teachers = load_teachers(config)
    config = with_teachers(config, teachers)
    seed_all(config.seed)
    model = build(config)
    add_statistics(config, model, paths.train_sets)
    give_teachers(model, teachers, ranks.device)
    transferred = load_all(config, model)
    freeze_parameters(model, config.freeze_param, config.freeze_param_updates)
    steps, division = divide_batch(config, inputs, model, output_dir / CHECKPOINTS, ranks)
    data = make_data(config, inputs, model, steps)
    max_update = total_updates(config, data.sampler, steps)
    model.to(ranks.device)
    audio_seconds = mean_update_seconds(data, steps)
    between = audio_seconds * config.valid_interval_updates
    probe, probe_line = open_probe(config.probe, inputs.valid, model, between)
    if old := open_old_domain(config, paths, inputs, model, between):
        model.set_max_update(max_update)  # its loss is measured before the trainer starts
        data = replace(data, old=old.valid)
    check_criteria(config, model, data, ranks.device, probe)
    observers = open_observers(config, inputs, model, max_update, output_dir, reference, ranks)
    initial, problems = measure_initial(config, model, probe, data.old, output_dir / CHECKPOINTS, ranks)
    lights = observers.lights
    is_compiled = compile_choice(config, ranks.device, ranks.world_size) is not Compiled.NOTHING
    compiler = [keep_kernels(cache_folder() / "compiled")] if is_compiled else []
    run = Pretraining(
        config=config,
        model=model,
        data=data,
        steps=steps,
        max_update=max_update,
        hashes={**inputs.hashes(), **hash_teachers(teachers)},
        directory=output_dir,
        probe=probe,
        lights=lights,
        watch=observers.watch,
        initial=initial,
        profile=profile,
        inputs=inputs,
        ranks=ranks,
        notes=[
            *describe_adapters(config.adapt, config.adapt_conf, model.encoder),
            *describe_teachers(model, teachers),
            *transferred,
            *(old.lines if old else []),
            probe_line,
            *([lights.describe()] if lights else []),
            *problems,
            *compiler,
            *division,
        ],
        on_start=on_start,
    )
    return finish_run(run, ranks, stop)


@dataclass(frozen=True, kw_only=True)
class Pretraining(PreparedRun):
    """A training of `ssl_train`, which its run.sh goes on with."""

    config: SSLConfig
    inputs: Inputs
    ranks: Ranks
    notes: Sequence[str]  # lines about adapters, teachers, probe, traffic light and compiler
    on_start: Callable[[], object]

    def begin(self, update: int) -> None:
        if not is_restart():  # by hand: a new attempt
            count_restarts(self.directory, update)
        self.on_start()
        (self.directory / DONE_NAME).unlink(missing_ok=True)
        with atomic_write(self.directory / "config.yaml") as stream:
            stream.write(dump_config(self.config))

    def describe(self) -> list[str]:
        described = describe(self.config, self.inputs, self.data, self.steps, self.ranks, self.model)
        return [*described, *self.notes]

    def warnings(self) -> list[str]:
        full_seconds = self.steps.micro_batches * self.steps.shard_samples / self.inputs.train.sample_rate
        return quadratic_share(self.config, mean_update_seconds(self.data, self.steps), full_seconds)

    def describe_stop(self, update: int, seconds: float) -> str:
        return f"saved at update {update} after {format_seconds(seconds)}; to go on: {self.directory}/run.sh"

    def finish(self, state: TrainState) -> str:
        """Mark the run as complete: train.done, with its last figures."""
        last = state.validations[-1]
        contents: DoneJson = {
            "updates": state.update,
            "skipped_updates": state.skipped,
            "wall_seconds": round(state.train_seconds, 1),
            "train": last.train,
            "valid": last.valid,
        }
        write_json(self.directory / DONE_NAME, contents)
        return f"done: {state.update} updates in {format_seconds(state.train_seconds)}"


def refuse_restart(output_dir: Path) -> str | None:
    """Why this run, which a queue started again, must not go on; None if it may."""
    try:
        count_restarts(output_dir, max(CheckpointFolder(output_dir / CHECKPOINTS).updates(), default=0))
    except UserError as error:
        return str(error)
    return None


@torch.no_grad()
def check_criteria(
    config: SSLConfig, model: SSLModel, data: TrainingData, device: torch.device, probe: QuickProbe | None
) -> None:
    """Refuse to choose checkpoints by a figure that this model does not report.

    Raises:
        UserError: naming those it reports; the shortest valid utterance shows them.
    """
    stats = [criterion.stat for criterion in config.best_model_criterion]
    if set(stats) == {"loss"}:
        return
    shortest = data.valid_shards[0]
    batch = data.valid[replace(shortest, rows=shortest.rows[:1])].batch
    figures = ["loss", *tally(model, model.eval()(batch.to(device))).sums]
    known = [*figures, *(probe.names if probe else ())]
    if data.old is not None:
        old = [*(figures if data.old.dataset else ()), *(data.old.probe.names if data.old.probe else ())]
        known += [f"{data.old.prefix}{name}" for name in old]
    for stat in stats:
        if stat not in known:
            raise UserError(f"best_model_criterion: there is no figure '{stat}'; known are {', '.join(known)}")


def mean_update_seconds(data: TrainingData, steps: StepPlan) -> float:
    """Audio of one update, over all ranks, after crops."""
    plan = data.sampler.plan(0)
    seconds_per_pass: float = data.sampler.lengths[plan.order].sum(dtype=np.int64) / data.train.index.sample_rate
    return seconds_per_pass / len(plan.num_samples) * steps.micro_batches


def describe_order(data: TrainingData) -> str:
    """Of `shuffle: shards`: what is mixed with what."""
    sampler, rate = data.sampler, data.train.index.sample_rate
    return sampler.buffer.describe(float(sampler.lengths[sampler.rows].mean()) / rate) if sampler.buffer else ""


def quadratic_share(config: SSLConfig, audio_per_update: float, full_seconds: float) -> list[str]:
    """A line where `quadratic_seconds` leaves less than half of an update's `batch_bins` for audio."""
    share = audio_per_update / full_seconds
    if config.quadratic_seconds is None or share >= 0.5:
        return []
    return [
        f"quadratic_seconds {config.quadratic_seconds:g} leaves {share:.1%} of batch_bins for audio: "
        f"{config.quadratic_seconds:g} s count twice. Make it larger, or leave it out"
    ]


def describe(
    config: SSLConfig, inputs: Inputs, data: TrainingData, steps: StepPlan, ranks: Ranks, model: SSLModel
) -> list[str]:
    """What the first lines of the log say: model, data, batches, machine, and the disk the checkpoints will take."""
    rate = inputs.train.sample_rate
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    plan = data.sampler.plan(0)
    hours = data.sampler.lengths[data.sampler.rows].sum(dtype=np.int64) / rate / 3600
    left_out = len(inputs.train) - len(data.sampler.rows)
    weights = count_parameters(model) * FLOAT_BYTES
    kept = config.keep_nbest_models * len(config.best_model_criterion)
    mode = "one process" if ranks.world_size == 1 else "FSDP2" if config.fsdp else "DDP"
    audio_per_update = mean_update_seconds(data, steps)
    return [
        f"model: {count_parameters(model):,} parameters, {trained:,} trained; losses {', '.join(model.objectives)}",
        f"train: {len(data.sampler.rows):,} utterances, {hours:.2f} h after crops to {config.max_seconds:g} s"
        + (f" ({left_out:,} shorter than {config.min_seconds:g} s left out)" if left_out else ""),
        *(
            f"labels {name}: {labels.num_classes:,} classes, {labels.label_rate:g} per second"
            for name, labels in inputs.train_labels.items()
            if name != UNNAMED
        ),
        *(f"labels {name}: left aside, no loss trains on them" for name in inputs.unused_labels),
        *([f"order: {describe_order(data)}"] if data.sampler.buffer else []),
        *([f"augment: {inputs.augment.describe()}"] if inputs.augment else []),
        f"valid: {len(inputs.valid):,} utterances, {inputs.valid.total_samples / rate / 3600:.2f} h, "
        f"{len(data.valid_shards)} batches",
        f"one update: {steps.micro_batches} micro-batches of at most {steps.shard_samples / rate:.1f} s, about "
        f"{audio_per_update:.0f} s of audio; padding {100 * plan.padding_share(data.sampler.lengths):.1f} %; "
        f"{len(plan):,} micro-batches per epoch",
        f"machine: {describe_device(ranks.device)}, {ranks.world_size} x {mode}, "
        f"{torch.get_num_threads()} threads, {config.num_workers} loader processes, PyTorch {torch.__version__}",
        *describe_factors(model, config.optim_conf.layer_decay),
        *([f"network: {ranks.network}"] if ranks.network else []),
        f"checkpoints: {format_bytes(ADAM_COPIES * weights)} each, at most "
        f"{format_bytes((ADAM_COPIES * (NUM_RESUMABLE + 1) + kept + 1) * weights)} in all; weights, gradient and "
        f"optimizer take {format_bytes((ADAM_COPIES + 1) * weights)} of memory, activations come on top",
    ]
