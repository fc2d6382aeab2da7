"""Where a training stands in, checkpoints out: written before the next update, or beside those that follow."""

from typing import cast

import torch

from espnet2.train.background import Background, HostCopy
from espnet2.train.best import BestCheckpoints
from espnet2.train.checkpoint import CheckpointFolder, OptimizerStates
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks
from espnet2.train.identity import Identity
from espnet2.train.meter import Meter
from espnet2.train.saving import save_checkpoint, small_state
from espnet2.train.state import TrainingJson, TrainState, Validation
from espnet2.train.updater import Updater
from espnet2.utils.errors import UserError


class Saver:
    """Writes the checkpoints of one run; all ranks call it alike.

    In the background, the training goes on as soon as copies on the host are under way. A checkpoint comes into being
    as ever: written beside, flushed, renamed. A kill while it is written leaves the one before.
    """

    def __init__(
        self, folder: CheckpointFolder, config: TrainConfig, updater: Updater, ranks: Ranks, identity: Identity
    ) -> None:
        self.folder, self.updater, self.ranks, self.identity = folder, updater, ranks, identity
        self.best = BestCheckpoints(folder, config)
        chosen = ranks.device.type == "cuda" if config.save_in_background == "auto" else config.save_in_background
        self.in_background = chosen and not updater.replica.sharded  # FSDP2: all ranks write, and wait for each other
        self._background, self._copy = Background(), HostCopy()

    @property
    def has_failed(self) -> bool:
        """Whether a checkpoint could not be written on this rank; `wait` raises it on all."""
        return self._background.failure is not None

    def save(self, state: TrainState, since_validation: Meter) -> None:
        """Write a checkpoint, or begin to.

        Raises:
            UserError: on every rank: this one could not be written, or the one before in the background.
        """
        training: TrainingJson = {
            "identity": self.identity,
            "state": state.to_json(),
            "since_validation": since_validation.to_json(self.ranks),
            "num_threads": torch.get_num_threads(),
            "precision": self.updater.precision.name,
        }
        validations = state.validations
        if not self.in_background:
            save_checkpoint(
                self.folder,
                self.updater,
                self.ranks,
                state.update,
                training,
                before=lambda: self.best.prune(validations),
                after=lambda: self.best.link(validations),
            )
            return
        self.wait()
        if self.ranks.is_first:
            self._begin(state.update, training, validations)

    def wait(self) -> None:
        """Until the last checkpoint is whole.

        Raises:
            UserError: on every rank, if it could not be written.
        """
        if not self.in_background:
            return
        self._background.wait()
        failure = self._background.failure
        if failure is not None and not isinstance(failure, UserError | OSError):
            raise failure  # a fault of ours
        if text := self.ranks.from_first(None if failure is None else str(failure)):
            raise UserError(text)

    def complete(self, validations: tuple[Validation, ...]) -> None:
        """At the end of the run: average the n best, and leave only what is of use."""
        self.wait()
        if self.ranks.is_first:
            self.best.complete(validations)

    def _begin(self, update: int, training: TrainingJson, validations: tuple[Validation, ...]) -> None:
        small = small_state(self.updater, with_optimizer=True)
        copied = self._copy.of({"model": self.updater.model.state_dict(), "optimizer": small})

        def write() -> None:
            self._copy.wait()
            self.best.prune(validations)
            self.folder.save(
                update,
                cast(dict[str, torch.Tensor], copied["model"]),
                cast(OptimizerStates, copied["optimizer"]),
                training,
            )
            self.best.link(validations)

        self._background.start(write)
