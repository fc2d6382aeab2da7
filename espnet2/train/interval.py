"""The counters between two lines of the log."""

import time

import torch
from torch import Tensor

from espnet2.train.distributed import Ranks
from espnet2.train.meter import Meter
from espnet2.train.reporter import IntervalFigures


class Interval:
    """What happened since the last line of the log; tensors stay on the device until it is written."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.started = time.monotonic()
        self.updates = self.skipped = self.num_samples = 0
        self.wait_seconds = 0.0
        self.norms: list[Tensor] = []

    def read(
        self,
        ranks: Ranks,
        *,
        update: int,
        max_update: int,
        epoch: int,
        skipped_in_all: int,
        learning_rate: float,
        grad_clip: float,
        sample_rate: int,
    ) -> IntervalFigures:
        """The figures over all ranks, of at least one finite update. Waits for the device.

        Args:
            skipped_in_all: non-finite updates since the start of the training.
            sample_rate: Hz.
        """
        figures = self.meter.read(ranks)
        norms = torch.stack(self.norms).double()
        grad_norm, clip_share = torch.stack([norms.mean(), (norms > grad_clip).double().mean()]).tolist()
        seconds = max(time.monotonic() - self.started, 1e-9)
        # The samples of all ranks, and the mean of their waits, which lie side by side.
        rank_sums = torch.tensor([self.num_samples, self.wait_seconds / ranks.world_size], dtype=torch.float64)
        num_samples, wait = ranks.all_sum(rank_sums.to(ranks.device)).tolist()
        updates = self.updates + self.skipped
        return IntervalFigures(
            update=update,
            epoch=epoch,
            figures=figures,
            grad_norm=grad_norm,
            clip_share=clip_share,
            learning_rate=learning_rate,
            audio_per_second=num_samples / sample_rate / seconds,
            audio_per_update=num_samples / sample_rate / updates,
            wait_share=wait / seconds,
            eta_seconds=seconds / updates * (max_update - update),
            skipped=skipped_in_all,
        )
