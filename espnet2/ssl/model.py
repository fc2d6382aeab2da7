"""The module that the trainer trains, wraps and saves: one frontend and one encoder under all loss entries."""

from collections.abc import Callable, Collection, ItemsView
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from espnet2.data.batch import Batch
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.objective.base import Loss, Objective


class SSLModel(nn.Module):
    """One frontend and one encoder, shared by the objectives of the config's `loss:` list."""

    if TYPE_CHECKING:  # nn.Module's own says nothing about what comes out

        def __call__(self, batch: Batch) -> dict[str, Loss]: ...

    def __init__(
        self, frontend: Frontend, encoder: Encoder, objectives: dict[str, Objective], weights: dict[str, float]
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.encoder = encoder
        self.objectives = nn.ModuleDict(objectives)
        self.weights = dict(weights)  # of the entries; terms have their own weights besides
        self.compiled: Callable[[Batch], dict[str, Loss]] | None = None  # takes the place of `losses`

    def forward(self, batch: Batch) -> dict[str, Loss]:
        """One forward pass per loss entry; entry name -> its loss."""
        return self.losses(batch) if self.compiled is None else self.compiled(batch)

    def losses(self, batch: Batch) -> dict[str, Loss]:
        """What `forward` returns, computed by Python."""
        return {name: objective(batch) for name, objective in self.entries()}

    def entries(self) -> ItemsView[str, Objective]:
        """(entry name, objective) in the order of the config."""
        return cast("ItemsView[str, Objective]", self.objectives.items())

    def set_max_update(self, max_update: int) -> None:
        """Tell every objective how many updates the whole run has."""
        for _, objective in self.entries():
            objective.set_max_update(max_update)

    def before_update(self, update: int, seed: int) -> None:
        """Prepare an update (1-based) on all ranks alike: draw the blocks that layerdrop keeps, tell the parts."""
        if self.encoder.layerdrop > 0:
            # From (seed, update) alone: all ranks keep the same blocks, and a resumed run those of an unbroken one. The
            # factor keeps two seeds apart: their streams meet after a million updates only.
            generator = torch.Generator().manual_seed(seed * 1_000_003 + update)
            keep = torch.rand(self.encoder.num_layers, generator=generator) >= self.encoder.layerdrop
            self.encoder.set_layerdrop(keep)
        self.encoder.before_update(update)
        for _, objective in self.entries():
            objective.before_update(update)

    def weights_loaded(self, names: Collection[str]) -> None:
        """Tell every objective which weights came from elsewhere, before the first update."""
        for entry, objective in self.entries():
            prefix = f"objectives.{entry}."
            objective.weights_loaded({name.removeprefix(prefix) for name in names if name.startswith(prefix)})

    def frozen_parameters(self, update: int) -> list[nn.Parameter]:
        """What this update must leave as it is."""
        return [parameter for _, objective in self.entries() for parameter in objective.frozen_parameters(update)]

    def encoders(self) -> list[Encoder]:
        """The encoder and the copies of it that objectives hold as teachers."""
        return [module for module in self.modules() if isinstance(module, Encoder)]

    def after_step(self, update: int) -> None:
        """Let the encoder, then every objective move its own state after a finite optimizer step."""
        self.encoder.after_step(update)  # first: teachers copy the norm statistics that it moves
        for _, objective in self.entries():
            objective.after_step(update)

    @property
    def first(self) -> Objective:
        """The objective that answers `extract`."""
        return next(objective for _, objective in self.entries())
