"""One update: forward and backward of its micro-batches, then a step, or none where it is not finite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet2.data.batch import Batch
from espnet2.data.dataset import Loaded, seed_for
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import Loss
from espnet2.train.compile_choice import Compiled, compile_choice, must_compile
from espnet2.train.compiled import compile_blocks, compile_forward
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks
from espnet2.train.freeze import held_parameters
from espnet2.train.layer_decay import RATE_FACTOR
from espnet2.train.meter import Meter, tally
from espnet2.train.optimizer import build_optimizer, clip_gradients
from espnet2.train.precision import Precision
from espnet2.train.replica import Replica
from espnet2.train.scheduler import schedule_steps

FORWARD_STREAM = 2  # keeps the seeds of dropout apart from the loader's (dataset.TRAIN_STREAM, VALID_STREAM)


@dataclass(frozen=True)
class Prepared:
    """One micro-batch on its way to the device."""

    batch: Batch
    counts: dict[tuple[str, str], Tensor]  # (entry, term) -> float64 count, on the host
    number: int  # global number of the micro-batch
    num_samples: int  # valid ones


def prepare(model: SSLModel, loaded: Loaded, device: torch.device) -> Prepared:
    """Count what the terms will be divided by, and start the copy to the device."""
    counts = {
        (entry, term): count
        for entry, objective in model.entries()
        for term, count in objective.counts(loaded.batch).items()
    }
    return Prepared(loaded.batch.to(device), counts, loaded.number, loaded.num_samples)


@dataclass(frozen=True)
class Launched:
    """An update whose gradients are being computed; nothing of it has been read back."""

    meter: Meter
    norm: Tensor  # scalar: global gradient norm before clipping
    is_nonfinite: Tensor  # scalar float: 1 if the loss of this rank or the gradient is not finite


class Updater:
    """Forward, backward and optimizer step of the replicas of one model."""

    def __init__(self, model: SSLModel, config: TrainConfig, ranks: Ranks, *, max_update: int) -> None:
        self.model, self.config, self.ranks = model, config, ranks
        self.precision = Precision(config.dtype, ranks.device)
        match compile_choice(config, ranks.device, ranks.world_size):
            case Compiled.WHOLE:
                compile_forward(model, required=must_compile(config))
            case Compiled.BLOCKS:
                compile_blocks(model)
        # On a CPU a checkpoint may ask for fp32 instead of bf16 (`Precision.restore`): weights travel as they are.
        gathered = "fp32" if ranks.device.type == "cpu" else self.precision.name
        self.replica = Replica(model, config, ranks, dtype=gathered)
        # After the replica: sharding puts other parameters into the model, and the optimizer has to hold those.
        self.optimizer = build_optimizer(model, config.optim_conf)
        self.schedule_steps = schedule_steps(config.scheduler_conf, max_update)
        model.set_max_update(max_update)
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learning_rate(self, update: int) -> float:
        """Of optimizer step `update` (1-based)."""
        return self.config.optim_conf.lr * self.config.scheduler_conf.factor(update, self.schedule_steps)

    def launch(self, batches: Sequence[Prepared], update: int) -> Launched:
        """Compute the clipped gradient of one update without waiting for the device."""
        self.model.before_update(update, self.config.seed)
        # Before any forward: each micro-batch is divided by the counts of the whole update, so that the gradient is the
        # same however the batch is divided over ranks and micro-batches.
        counts = self._global_counts(batches)
        meter = Meter()
        values = []
        for position, item in enumerate(batches):
            # From (seed, micro-batch) alone: what ran before, another rank or a kill cannot disturb dropout.
            torch.manual_seed(seed_for(self.config.seed, FORWARD_STREAM, item.number))
            with self.replica.accumulating(first=position == 0, last=position == len(batches) - 1):
                with self.precision.autocast():
                    losses = self.replica.module(item.batch)
                value = self._value(losses, counts)
                self.precision.scaler.scale(value).backward()
            values.append(value.detach())
            meter.add(tally(self.model, losses))
        self.precision.scaler.unscale_(self.optimizer)  # before clipping: `grad_clip` is meant for true gradients
        held = held_parameters(self.model, self.config.freeze_param, self.config.freeze_param_updates, update)
        for parameter in (*self.model.frozen_parameters(update), *held):
            parameter.grad = None  # not in the norm; the optimizer passes over it: no momentum, no weight decay
        # Behind the all-reduce of the last backward: the gradient is that of all ranks, and one norm clips it.
        norm = clip_gradients(self.trained, self.config.grad_clip)
        finite = torch.isfinite(torch.stack(values)).all() & torch.isfinite(norm)
        return Launched(meter, norm, 1.0 - finite.double())

    def finish(self, update: int, *, is_finite: bool) -> None:
        """Take the step, or drop its gradients without a trace."""
        if is_finite:
            self._set_rate(update)
            self.precision.scaler.step(self.optimizer)
        self.precision.scaler.update()  # fp16: a smaller scale after an overflow
        self.optimizer.zero_grad(set_to_none=True)
        if is_finite:
            self.model.after_step(update)

    def finish_unread(self, update: int, is_nonfinite: Tensor) -> None:
        """Take the step, or drop its gradients, as the device says: the host does not know yet.

        Only where nothing else moves with the step (`espnet2.train.flags.reads_late`).

        Args:
            is_nonfinite: scalar float32, 1 or 0.
        """
        self._set_rate(update)
        # Fused, it moves neither weights, nor moments, nor its count of steps. A state of a CPU brings its own `fused`.
        if all(group["fused"] for group in self.optimizer.param_groups):
            self.optimizer.found_inf = is_nonfinite  # type: ignore[attr-defined]  # as GradScaler tells it
            self.optimizer.step()
            del self.optimizer.found_inf  # type: ignore[attr-defined]
        elif not is_nonfinite.item():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def drop(self) -> None:
        """Forget the gradients that were launched."""
        self.optimizer.zero_grad(set_to_none=True)

    def _set_rate(self, update: int) -> None:
        """Of the update's number alone: there is no state to save, and a skipped update moves no schedule."""
        rate = self.learning_rate(update)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get(RATE_FACTOR, 1.0)

    def _global_counts(self, batches: Sequence[Prepared]) -> dict[tuple[str, str], Tensor]:
        """What each term is divided by: its count over all ranks and micro-batches of the update."""
        names = list(batches[0].counts)
        total = torch.stack([torch.stack([item.counts[name].double() for name in names]) for item in batches]).sum(0)
        if self.ranks.device.type == "cuda":
            total = total.pin_memory().to(self.ranks.device, non_blocking=True)
        total = self.ranks.all_sum(total).clamp(min=1.0)  # no masked frame at all: the sum is 0 as well
        return dict(zip(names, total.unbind(), strict=True))

    def _value(self, losses: Mapping[str, Loss], counts: Mapping[tuple[str, str], Tensor]) -> Tensor:
        """What backward starts from. Gradients are averaged over ranks, hence the factor of their number."""
        parts = []
        for entry, loss in losses.items():
            for term in loss.terms:
                weight = self.model.weights[entry] * term.weight * self.ranks.world_size
                # The quotient is taken in float64 and rounded once.
                parts.append(term.total.float() * (weight / counts[entry, term.name]).float())
        return torch.stack(parts).sum()
