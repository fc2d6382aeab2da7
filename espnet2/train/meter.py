"""Running sums of losses by name, kept on the device and read to the host only when asked."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import Loss
from espnet2.train.distributed import Ranks
from espnet2.train.state import MeterJson

TERM_PREFIX = "loss_"  # of the figures that are summands of the loss


class Tally(NamedTuple):
    """What one forward pass contributes: name -> (2,) float64 tensor of total and count, and the terms' weights."""

    sums: dict[str, Tensor]
    weights: dict[str, float | Tensor]  # scalars


def entry_prefix(model: SSLModel, entry: str) -> str:
    """Figures carry the name of their loss entry where there are several."""
    return f"{entry}." if len(model.objectives) > 1 else ""


def without_prefix(figures: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The figures of one loss entry, by the names that its objective gives them."""
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def tally(model: SSLModel, losses: Mapping[str, Loss]) -> Tally:
    """Totals and counts of all terms and statistics, detached."""
    sums: dict[str, Tensor] = {}
    weights: dict[str, float | Tensor] = {}
    for entry, loss in losses.items():
        prefix = entry_prefix(model, entry)
        for term in loss.terms:
            name = f"{prefix}{TERM_PREFIX}{term.name}"
            # In float64: a figure of the log is a sum over thousands of micro-batches.
            sums[name] = torch.stack([term.total.detach().double(), term.count.detach().double()])
            weights[name] = model.weights[entry] * term.weight
        for name, ratio in loss.stats.items():
            sums[prefix + name] = torch.stack([ratio.total.detach().double(), ratio.count.detach().double()])
    return Tally(sums, weights)


class Meter:
    """Adds tallies up; the figure of a name is its total over its own count."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.weights: dict[str, float | Tensor] = {}

    def add(self, tallied: Tally) -> None:
        """Add one micro-batch, without waiting for the device."""
        for name, value in tallied.sums.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.weights.update(tallied.weights)

    def merge(self, other: "Meter") -> None:
        """Add the micro-batches of another meter."""
        self.add(Tally(other.sums, other.weights))

    def read(self, ranks: Ranks) -> dict[str, float]:
        """All figures over all ranks, "loss" first: the weighted sum of its terms. Waits for the device."""
        if not self.sums:
            return {}
        ratios = {name: total / count if count else 0.0 for name, (total, count) in self._reduced(ranks).items()}
        loss = sum(weight * ratios[name] for name, weight in self._weights().items())
        return {"loss": loss, **ratios}

    def to_json(self, ranks: Ranks) -> MeterJson:
        """The sums over all ranks, exactly."""
        return {"sums": self._reduced(ranks), "weights": self._weights()}

    @classmethod
    def from_json(cls, values: MeterJson, device: torch.device) -> "Meter":
        """The meter that `to_json` described, with everything on this rank."""
        meter = cls()
        sums = {name: torch.tensor(value, dtype=torch.float64, device=device) for name, value in values["sums"].items()}
        meter.add(Tally(sums, dict(values["weights"])))
        return meter

    def zeroed(self) -> "Meter":
        """A meter of the same names with nothing counted: all ranks must bring the same names to a sum over ranks."""
        meter = Meter()
        meter.add(Tally({name: torch.zeros_like(value) for name, value in self.sums.items()}, self.weights))
        return meter

    def _weights(self) -> dict[str, float]:
        """Waits for the device where one is there."""
        return {name: float(weight) for name, weight in self.weights.items()}

    def _reduced(self, ranks: Ranks) -> dict[str, list[float]]:
        """Name -> [total, count] over all ranks, in the order of the names: that may differ after a resume."""
        if not self.sums:
            return {}
        names = sorted(self.sums)
        table = ranks.all_sum(torch.stack([self.sums[name] for name in names])).tolist()
        return dict(zip(names, table, strict=True))
