"""Diarization (SD): one LSTM says of every frame which speakers speak; truth and error in seconds."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.superb.base import DEV, TEST, Batch, Example, Problem
from espnet2.superb.metrics.der import DiarizationErrors, Turn, diarization_errors
from espnet2.utils.errors import UserError

# s3prl, diarization/score.sh: all of these are scored, and the lowest error is what is reported.
THRESHOLDS, MEDIANS = (0.3, 0.4, 0.5, 0.6, 0.7), (1, 11)


def read_rttm(path: Path) -> dict[str, list[Turn]]:
    """Recording -> who speaks when.

    Raises:
        UserError: it is missing, or a line is no "SPEAKER <recording> 1 <start s> <seconds> ... <speaker> ...".
    """
    turns: dict[str, list[Turn]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] in ("SPKR-INFO", ";;"):
            continue
        try:
            start, seconds = float(fields[3]), float(fields[4])
            is_turn = fields[0] == "SPEAKER" and len(fields) >= 8 and start >= 0 and seconds >= 0
        except (ValueError, IndexError):
            is_turn = False
        if not is_turn:
            raise UserError(
                f"{path}:{number}: expected 'SPEAKER <recording> 1 <start s> <seconds> <NA> <NA> <speaker>'"
            )
        turns.setdefault(fields[1], []).append(Turn(fields[7], start, start + seconds))
    return turns


class LstmFrames(nn.Module):
    """LSTM and linear layer: a logit per speaker and frame."""

    def __init__(self, dim: int, *, width: int, num_layers: int, num_speakers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, width, num_layers, batch_first=True)
        self.output = nn.Linear(width, num_speakers)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, speakers)."""
        logits: Tensor = self.output(self.lstm(features)[0])
        return logits


def permutation_loss(logits: Tensor, truth: Tensor, lengths: Tensor) -> Tensor:
    """() binary cross entropy per frame and speaker, in the order of speakers that is best for every utterance.

    Fujita et al. 2019, section 2.2. Factorial in the number of speakers.

    Args:
        logits, truth: (batch, frames, speakers).
        lengths: (batch,) valid frames.
    """
    valid = torch.arange(truth.size(1), device=truth.device) < lengths.to(truth.device)[:, None]
    orders = list(permutations(range(truth.size(2))))
    losses = torch.stack([
        (F.binary_cross_entropy_with_logits(logits, truth[:, :, list(order)], reduction="none").mean(2) * valid).sum(1)
        for order in orders
    ])  # fmt: skip
    return losses.min(0).values.sum() / lengths.sum()


class DiarizationProblem(Problem[np.ndarray]):
    """Chunks of recordings to learn from, whole recordings to judge by."""

    def __init__(
        self, train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example],
        turns: Mapping[str, Mapping[str, Sequence[Turn]]], *, num_speakers: int, chunk_frames: int, width: int,
        num_layers: int, frame_rate: float,
    ) -> None:  # fmt: skip
        super().__init__("", train, dev, test)
        self.turns, self.num_speakers, self.chunk_frames, self.frame_rate = (
            turns,
            num_speakers,
            chunk_frames,
            frame_rate,
        )
        self.width, self.num_layers = width, num_layers
        self.chosen: dict[str, float] = {}

    def make_head(self, dim: int) -> nn.Module:
        return LstmFrames(dim, width=self.width, num_layers=self.num_layers, num_speakers=self.num_speakers)

    def loss(self, head: nn.Module, batch: Batch) -> Tensor:
        """Of every chunk of every recording."""
        loss = batch.features.new_zeros(())
        total = int(batch.lengths.sum())
        for start in range(0, int(batch.lengths.max()), self.chunk_frames):
            lengths = (batch.lengths - start).clamp(0, self.chunk_frames)
            rows = lengths > 0
            features = batch.features[rows, start : start + self.chunk_frames]
            kept = [target for target, is_in in zip(batch.targets, rows.tolist(), strict=True) if is_in]
            truth = torch.stack([self._labels(target, start, features.size(1)) for target in kept]).to(features.device)
            loss = loss + permutation_loss(head(features), truth, lengths[rows]) * int(lengths.sum()) / total
        return loss

    def _labels(self, target: Tensor, start: int, count: int) -> Tensor:
        """(turns, 3) speaker, start s, end s -> (frames, speakers) of a chunk."""
        labels = torch.zeros(count, self.num_speakers)
        for speaker, begin, end in target.tolist():
            first, last = (round(seconds * self.frame_rate) - start for seconds in (begin, end))
            labels[max(0, first) : max(0, last), int(speaker)] = 1
        return labels

    def answer(self, head: nn.Module, batch: Batch) -> Sequence[np.ndarray]:
        """(frames, speakers) probabilities; the LSTM begins anew at every chunk, as in training."""
        parts = [head(part) for part in batch.features.split(self.chunk_frames, dim=1)]
        probabilities = torch.cat(parts, dim=1).sigmoid().cpu().numpy()
        return [row[:length] for row, length in zip(probabilities, batch.lengths.tolist(), strict=True)]

    def score(self, part: str, answers: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The lowest DER over thresholds and median filters, of dev at 0.5 without a filter."""
        grid = [(0.5, 1)] if part == DEV else [(t, m) for m in MEDIANS for t in THRESHOLDS]
        rates = {}
        for threshold, median in grid:
            errors = DiarizationErrors(0.0, 0.0, 0.0, 0.0)
            for name, probabilities in answers.items():
                heard = heard_turns(probabilities, threshold, median, self.frame_rate)
                errors = errors + diarization_errors(self.turns[part].get(name, ()), heard)
            rates[threshold, median] = errors.rate
        best = min(rates, key=lambda setting: rates[setting])
        figures = {"der": rates[best]}
        if part == TEST:
            figures |= {"threshold": best[0], "median": float(best[1]), "der_half": rates[0.5, 1]}
        return figures


def heard_turns(probabilities: np.ndarray, threshold: float, median: int, frame_rate: float) -> list[Turn]:
    """(frames, speakers) -> turns: runs of frames above the threshold, behind a median filter over time."""
    active = probabilities > threshold
    if median > 1:
        padded = np.pad(active.astype(int), ((median // 2, median // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, median, axis=0)
        active = windows.sum(-1) > median // 2
    turns = []
    for speaker in range(active.shape[1]):
        changes = np.flatnonzero(np.diff(np.pad(active[:, speaker].astype(int), 1)))
        turns += [
            Turn(str(speaker), float(start / frame_rate), float(stop / frame_rate))
            for start, stop in zip(changes[::2], changes[1::2], strict=True)
        ]
    return turns
