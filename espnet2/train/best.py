"""Validations and a folder of checkpoints in; the best of them linked, kept and averaged out."""

from espnet2.train.checkpoint import CheckpointFolder, best_name
from espnet2.train.config import Criterion, TrainConfig
from espnet2.train.state import Validation, ranking

NUM_RESUMABLE = 2  # checkpoints that keep their optimizer state: should the newest be damaged, the one before serves


class BestCheckpoints:
    """What `best_model_criterion` and `keep_nbest_models` ask for."""

    def __init__(self, folder: CheckpointFolder, config: TrainConfig) -> None:
        self.folder, self.config = folder, config

    def of(self, criterion: Criterion, validations: tuple[Validation, ...]) -> list[int]:
        """The n best updates that have a checkpoint, the best first."""
        updates = [update for update in ranking(validations, criterion) if self.folder.path(update).exists()]
        return updates[: self.config.keep_nbest_models]

    def prune(self, validations: tuple[Validation, ...]) -> None:
        """Before a save this spares what a better checkpoint is about to replace: best_<stat> always leads to one."""
        kept = {update for criterion in self.config.best_model_criterion for update in self.of(criterion, validations)}
        self.folder.prune(kept, num_resumable=NUM_RESUMABLE)

    def link(self, validations: tuple[Validation, ...]) -> None:
        """Point best_<stat> to the best of them."""
        for criterion in self.config.best_model_criterion:
            for update in self.of(criterion, validations)[:1]:
                self.folder.link(best_name(criterion), update)

    def complete(self, validations: tuple[Validation, ...]) -> None:
        """At the end: average the n best and leave only what is of use."""
        for number, criterion in enumerate(self.config.best_model_criterion):
            if len(best := self.of(criterion, validations)) > 1:
                suffix = f"_{best_name(criterion).removeprefix('best_')}" if number else ""
                self.folder.average(f"ave_{len(best)}best{suffix}", best)
        self.prune(validations)
