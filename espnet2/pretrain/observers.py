"""A training's config and data in; its watch, its traffic light, and what the probe finds before it starts out."""

from pathlib import Path
from typing import NamedTuple

from espnet2.data.labels.statistics import joined_statistics
from espnet2.pretrain.inputs import Inputs
from espnet2.pretrain.own_run import OwnRun
from espnet2.pretrain.probe import QuickProbe
from espnet2.pretrain.reference import describe_subject
from espnet2.pretrain.traffic_light import TrafficLight
from espnet2.ssl.model import SSLModel
from espnet2.tasks.config import SSLConfig
from espnet2.train.checkpoint import CheckpointFolder
from espnet2.train.data import ValidSet
from espnet2.train.distributed import Ranks
from espnet2.train.precision import Precision
from espnet2.train.scheduler import schedule_steps
from espnet2.train.stall import StallWatch, judged_from
from espnet2.train.validate import Measured, measure_set
from espnet2.train.watch import TrainingWatch


class Observers(NamedTuple):
    """Who looks at the figures of a training."""

    watch: TrainingWatch
    lights: TrafficLight | None  # on the first rank


def open_observers(
    config: SSLConfig,
    inputs: Inputs,
    model: SSLModel,
    max_update: int,
    output_dir: Path,
    reference: Path | None,
    ranks: Ranks,
) -> Observers:
    """The watch, which knows the labels of the valid set, and the traffic light.

    Args:
        max_update: of the whole run.
        output_dir: exp/<name>.
        reference: curves to compare with, if there are any: see `find_reference_file`.
    """
    statistics = {name: joined_statistics(labels) for name, labels in inputs.valid_labels.items()}
    labels = {name: statistics[entry.labels] for name, entry in config.entries().items() if entry.labels in statistics}
    first = judged_from(config.scheduler_conf, schedule_steps(config.scheduler_conf, max_update))
    stalls = StallWatch(model, labels, first)
    subject = describe_subject(config, inputs, max_update)
    own_run = OwnRun(stalls.chances, first, stalls.target_moves)
    lights = TrafficLight.open(output_dir, subject, config.reference, reference, own_run) if ranks.is_first else None
    return Observers(TrainingWatch(model, stalls), lights)


def measure_initial(
    config: SSLConfig,
    model: SSLModel,
    probe: QuickProbe | None,
    old: ValidSet | None,
    checkpoints: Path,
    ranks: Ranks,
) -> Measured:
    """What the probe, and all that is measured of the old domain, say before the first update; and what went wrong.

    Nothing where there is neither, or a checkpoint that knows. Called before weights are sharded: every rank has the
    whole model.
    """
    is_new = ranks.from_first(not CheckpointFolder(checkpoints).updates() if ranks.is_first else None)
    figures: dict[str, float] = {}
    problems: list[str] = []
    parts = [ValidSet("", None, (), probe), *([old] if old else [])] if is_new else []
    precision = Precision(config.dtype, ranks.device)
    for part in parts:
        measured = measure_set(
            model, part, ranks=ranks, precision=precision, num_workers=config.num_workers, is_sharded=False
        )
        figures |= measured.figures
        problems += measured.problems
    return Measured(figures, problems)
