"""A tiny model in, what the collapse watch says while it trains on noise out."""

from collections.abc import Callable

import torch
from tiny_model import noise_batch, seeded_forward

from espnet2.ssl.model import SSLModel
from espnet2.train.distributed import SINGLE
from espnet2.train.meter import Meter, tally
from espnet2.train.watch import TrainingWatch

BATCH = (8000, 8000)  # samples


def watch_training(
    model: SSLModel,
    num_updates: int,
    *,
    interval_updates: int = 50,
    lr: float = 1e-3,
    disturb: Callable[[SSLModel], None] | None = None,
) -> list[str]:
    """Train as the trainer does, one batch per update; the warnings of all intervals.

    Args:
        disturb: called before every update: what provokes a collapse.
    """
    watch, meter, warnings = TrainingWatch(model), Meter(), []
    optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr)
    for update in range(1, num_updates + 1):
        if disturb is not None:
            disturb(model)
        model.before_update(update, seed=0)
        losses = seeded_forward(model, noise_batch(model, BATCH, seed=update))
        optimizer.zero_grad()
        sum(term.weight * term.total / term.count for loss in losses.values() for term in loss.terms).backward()
        optimizer.step()
        model.after_step(update)
        meter.add(tally(model, losses))
        if update % interval_updates == 0:
            warnings += watch.look(meter.read(SINGLE), update)
            meter = Meter()
    return warnings


def kill_feed_forward(model: SSLModel) -> None:
    """The student's feed-forward parts die, and with them, soon, a teacher's."""
    with torch.no_grad():
        for block in model.encoder.blocks:
            block.ffn_out.weight.zero_()
