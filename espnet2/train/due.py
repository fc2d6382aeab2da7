"""The number of an update in; whether a line of the log, a validation or a checkpoint is due after it out."""

import time

from espnet2.train.config import TrainConfig


class Due:
    """The calendar of a run."""

    def __init__(self, config: TrainConfig, max_update: int) -> None:
        self.config, self.max_update = config, max_update
        self.saved_at = time.monotonic()

    def saved(self) -> None:
        """A checkpoint was written now."""
        self.saved_at = time.monotonic()

    def is_last(self, update: int) -> bool:
        return update >= self.max_update

    def log(self, update: int) -> bool:
        return self.is_last(update) or update % self.config.log_interval_updates == 0

    def validation(self, update: int) -> bool:
        return self.is_last(update) or update % self.config.valid_interval_updates == 0

    def checkpoint(self, update: int) -> bool:
        """By the number of updates, or by the clock, of which no two are alike: one rank asks, and tells the others."""
        return self._is_numbered(update) or time.monotonic() - self.saved_at > 60 * self.config.save_interval_minutes

    def _is_numbered(self, update: int) -> bool:
        every = self.config.save_interval_updates
        return every is not None and update % every == 0

    def anything(self, update: int) -> bool:
        """Whether the update is to be settled before the next one begins."""
        return self.log(update) or self.validation(update) or self._is_numbered(update)
