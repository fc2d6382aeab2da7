"""Speaker verification (ASV): an x-vector network learns with AM-softmax, cosines of its embeddings are scored."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.superb.base import Batch, Example, Problem
from espnet2.superb.metrics.eer import equal_error_rate

# (context, dilation) of frames; 14 are lost at the edges. s3prl, sv_voxceleb1/model.py; Snyder et al. 2018, table 1.
CONTEXTS = ((5, 1), (3, 2), (3, 3), (1, 1), (1, 1))
LOST_FRAMES = sum((context - 1) * dilation for context, dilation in CONTEXTS)
DEVIATION_FLOOR = 1e-10  # of a variance: an utterance that never changes has a gradient, too


class Trial(NamedTuple):
    """Two utterances, and whether one person speaks."""

    first: str
    second: str
    is_target: bool


class XVectorHead(nn.Module):
    """Projection, time delays, mean and deviation over time, two layers; a margin in the angles between speakers."""

    def __init__(self, dim: int, *, width: int, pooled: int, num_speakers: int, scale: float, margin: float) -> None:
        super().__init__()
        self.connector = nn.Linear(dim, width)
        widths = [width] * len(CONTEXTS) + [pooled]
        self.frames = nn.ModuleList(
            nn.Conv1d(widths[number], widths[number + 1], context, dilation=dilation)
            for number, (context, dilation) in enumerate(CONTEXTS)
        )
        self.first, self.second = nn.Linear(2 * pooled, width), nn.Linear(width, width)
        self.speakers = nn.Parameter(torch.empty(width, num_speakers))
        nn.init.xavier_normal_(self.speakers)
        self.scale, self.margin = scale, margin

    def embed(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, dim), (batch,) on the host -> (batch, width), before the second layer."""
        x = self.connector(features).transpose(1, 2)
        for layer in self.frames:
            x = F.relu(layer(x))
        rest = (lengths - LOST_FRAMES).to(x.device)
        valid = (torch.arange(x.size(2), device=x.device) < rest[:, None])[:, None]
        count = rest[:, None].to(x.dtype)
        mean = (x * valid).sum(2) / count
        variance = ((x - mean[..., None]) * valid).square().sum(2) / (count - 1).clamp(min=1)
        return F.relu(self.first(torch.cat([mean, variance.clamp(min=DEVIATION_FLOOR).sqrt()], dim=1)))

    def forward(self, features: Tensor, lengths: Tensor, speakers: Tensor) -> Tensor:
        """() the AM-softmax loss (Wang et al. 2018): the angle to the right speaker has to be better by the margin."""
        embedded = F.relu(self.second(self.embed(features, lengths)))
        cosines = F.normalize(embedded, dim=1) @ F.normalize(self.speakers, dim=0)
        margins = self.margin * F.one_hot(speakers, cosines.size(1))
        return F.cross_entropy(self.scale * (cosines - margins), speakers)


class VerificationProblem(Problem[Tensor]):
    """Learns to tell the speakers of train, judged on trials of others."""

    def __init__(
        self, train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example],
        trials: Mapping[str, Sequence[Trial]], head: Mapping[str, float],
    ) -> None:  # fmt: skip
        super().__init__("", train, dev, test)
        self.trials, self._head = trials, head

    def make_head(self, dim: int) -> nn.Module:
        return XVectorHead(
            dim,
            width=int(self._head["width"]),
            pooled=int(self._head["pooled"]),
            num_speakers=1 + max(int(example.target) for example in self.train),
            scale=self._head["scale"],
            margin=self._head["margin"],
        )

    def loss(self, head: nn.Module, batch: Batch) -> Tensor:
        loss: Tensor = head(*_long_enough(batch), torch.stack(batch.targets).to(batch.features.device))
        return loss

    def answer(self, head: nn.Module, batch: Batch) -> Sequence[Tensor]:
        assert isinstance(head, XVectorHead)
        return list(F.normalize(head.embed(*_long_enough(batch)), dim=1).cpu())

    def score(self, part: str, answers: Mapping[str, Tensor]) -> dict[str, float]:
        trials = self.trials[part]
        scores = [float(answers[trial.first] @ answers[trial.second]) for trial in trials]
        return {"eer": equal_error_rate([trial.is_target for trial in trials], scores)}


def _long_enough(batch: Batch) -> tuple[Tensor, Tensor]:
    """Repeats the last frame of what is shorter than the network sees at once."""
    shortest = LOST_FRAMES + 2
    missing = shortest - batch.features.size(1)
    features = batch.features if missing <= 0 else F.pad(batch.features, (0, 0, 0, missing))
    rows = [
        torch.cat([row[:length], row[length - 1 : length].expand(shortest - length, -1), row[shortest:]])
        if length < shortest
        else row
        for row, length in zip(features, batch.lengths.tolist(), strict=True)
    ]
    return torch.stack(rows), batch.lengths.clamp(min=shortest)
