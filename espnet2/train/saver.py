"""Where a training stands in, checkpoints out: written before the next update, or beside those that follow."""

from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch.optim.optimizer import StateDict

from espnet2.train.background import Background, HostCopy
from espnet2.train.best import BestCheckpoints
from espnet2.train.checkpoint import CheckpointFolder, OptimizerStates
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import Ranks
from espnet2.train.identity import Identity
from espnet2.train.meter import Meter
from espnet2.train.saving import SavedStates, save_states, states_of
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
        self.in_background = bool(chosen)
        self._writers = _background_writers(ranks, updater) if chosen else ranks
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
        write = partial(self._write, state.update, training, state.validations)
        if not self.in_background:
            write(states_of(self.updater))
            return
        self.wait()
        if self._writers is not None:
            states = self._copied(states_of(self.updater))

            def write_copies() -> None:
                self._copy.wait()
                write(states)

            self._background.start(write_copies)

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

    def close(self) -> None:
        """When the run ends, by an error too: the thread is done before the process group goes, which it speaks by."""
        self._background.wait()

    def _copied(self, states: SavedStates) -> SavedStates:
        copied = self._copy.of({"weights": states.weights, "small": states.small})
        weights, small = cast(dict[str, StateDict], copied["weights"]), cast(OptimizerStates, copied["small"])
        return SavedStates(states.sharded, weights, small)

    def _write(
        self, update: int, training: TrainingJson, validations: tuple[Validation, ...], states: SavedStates
    ) -> None:
        assert self._writers is not None
        save_states(
            states,
            self.folder,
            self._writers,
            update,
            training,
            before=lambda: self.best.prune(validations),
            after=lambda: self.best.link(validations),
        )


def _background_writers(ranks: Ranks, updater: Updater) -> Ranks | None:
    """Whose threads write: all ranks of a sharded run, which speak by a group of their own; else the first alone."""
    if updater.replica.sharded:
        return ranks.beside()
    return replace(ranks, world_size=1) if ranks.is_first else None
