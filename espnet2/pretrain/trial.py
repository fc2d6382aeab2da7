"""A short training of which nothing is kept: its speed, and how many updates take a given time."""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from espnet2.data.loader import iterate_batches
from espnet2.data.sampler import Cursor
from espnet2.pretrain.inputs import DataPaths, add_statistics, make_data, open_inputs
from espnet2.pretrain.teachers import give_teachers, load_teachers, with_teachers
from espnet2.tasks.build import build, with_num_classes
from espnet2.tasks.config import SSLConfig
from espnet2.train.data import plan_steps
from espnet2.train.distributed import Ranks
from espnet2.train.updater import Updater, prepare
from espnet2.utils.errors import UserError

WARM_UP_UPDATES = 5  # allocators, loader processes, the choice of algorithms
CLOCKS = {"wall": time.monotonic, "core": time.process_time}  # core: the time of one core, right on a busy machine too
QUIET_SHARE = 0.1  # others may use so much of the machine before its figures are doubted


@dataclass(frozen=True)
class Trial:
    """How quick a training is on this machine."""

    updates_per_second: float
    audio_per_second: float  # seconds of audio per second
    updates: int  # timed
    others_share: float | None  # of all cores, used by other processes meanwhile; None: unknown, or of no matter
    clock: str = "wall"  # of CLOCKS

    @property
    def is_quiet(self) -> bool:
        """Whether the figures are those of this training alone."""
        return self.others_share is None or self.others_share <= QUIET_SHARE

    def max_update(self, minutes: float) -> int:
        """Updates that take so long, rounded down to tens."""
        return max(1, int(60 * minutes * self.updates_per_second) // 10 * 10 or 1)


def time_training(config: SSLConfig, paths: DataPaths, ranks: Ranks, *, seconds: float, clock: str = "wall") -> Trial:
    """Train on the real data for a while, loading included, without validation, log and checkpoints.

    Args:
        ranks: one process.
        clock: of CLOCKS; core: processor time, of a CPU training with one thread and no loader processes.

    Raises:
        UserError: as a training of this config and data would; a clock that this config cannot be measured by.
    """
    if clock == "core" and (config.num_threads, config.num_workers, ranks.device.type) != (1, 0, "cpu"):
        raise UserError("--clock core: expected --num_threads 1 --num_workers 0 --ngpu 0; or measure with --clock wall")
    now = CLOCKS[clock]
    inputs = open_inputs(config, paths)
    config = with_num_classes(config, inputs.num_classes, inputs.num_codebooks)
    teachers = load_teachers(config)
    config = with_teachers(config, teachers)
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    torch.manual_seed(config.seed)
    model = build(config)
    steps = plan_steps(config, ranks.world_size)
    data = make_data(config, inputs, model, steps)
    add_statistics(config, model, paths.train_sets)
    give_teachers(model, teachers, ranks.device)
    model.to(ranks.device).train()
    updater = Updater(model, config, ranks, max_update=config.max_update or 1000)
    stream = data.sampler.stream(Cursor())
    pin_memory = ranks.device.type == "cuda"
    update = samples = 0
    busy, own_seconds = _busy_seconds(), _own_seconds()
    first, started = time.monotonic(), now()
    loading = iterate_batches(data.train, stream, num_workers=config.num_workers, pin_memory=pin_memory)
    with closing(loading) as batches:
        while update < WARM_UP_UPDATES + 1 or now() - started < seconds:
            if update == WARM_UP_UPDATES:
                started, samples = now(), 0
            update += 1
            loaded = list(islice(batches, steps.accumulation))
            launched = updater.launch([prepare(model, batch, ranks.device) for batch in loaded], update)
            updater.finish(update, is_finite=not launched.is_nonfinite.item())  # the read waits for the device
            samples += sum(batch.num_samples for batch in loaded)
        elapsed = now() - started
    whole = time.monotonic() - first
    share = None
    busy_now = _busy_seconds()
    if busy is not None and busy_now is not None and clock == "wall":
        others = (busy_now - busy) - (_own_seconds() - own_seconds)  # loader processes have ended: theirs count as own
        share = max(0.0, others / (whole * (os.cpu_count() or 1)))
    timed = update - WARM_UP_UPDATES
    audio = samples / inputs.train.sample_rate
    return Trial(timed / elapsed, audio / elapsed, timed, share, clock)


def _own_seconds() -> float:
    """Processor time of this process and the children that have ended."""
    return sum(os.times()[:4])


def _busy_seconds() -> float | None:
    """Processor time that all processes of the machine have used since it started (Linux: proc(5), /proc/stat)."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _, _, irq, softirq = map(int, path.read_text().split(maxsplit=8)[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
