"""The product quantizer of wav2vec 2.0 (section 2): its discrete choice is learned by gradient."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Quantized(NamedTuple):
    """What the quantizer says about each frame."""

    vectors: Tensor  # (batch, frames, code dim) float32
    ids: Tensor  # (batch, frames, groups) int64: the code taken; sampled in training, the best in evaluation
    logits: Tensor  # (batch, frames, groups, codes) float32, without noise


class GumbelQuantizer(nn.Module):
    """Product quantization with a hard straight-through Gumbel soft-max (wav2vec 2.0, section 2).

    Each group takes one of its codes; the chosen vectors stand side by side. Computed in float32 at any precision.

    Args:
        dim: width of the frames.
        num_codes: of each group.
        code_dim: width of the result; each group gives an equal part.
    """

    temperature: Tensor  # scalar

    def __init__(self, dim: int, *, num_groups: int, num_codes: int, code_dim: int) -> None:
        super().__init__()
        # Of the Gumbel soft-max, set before each update. A tensor: a compiled graph would be made anew for each number.
        self.register_buffer("temperature", torch.ones(()), persistent=False)
        self.projection = nn.Linear(dim, num_groups * num_codes)
        self.codes = nn.Parameter(torch.rand(num_groups, num_codes, code_dim // num_groups))  # U(0, 1), as fairseq
        nn.init.normal_(self.projection.weight)  # N(0, 1) and 0, as fairseq
        nn.init.zeros_(self.projection.bias)

    def score(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, groups, codes) float32 logits."""
        with torch.autocast(x.device.type, enabled=False):  # in half precision hundreds of scores have ties
            scores: Tensor = self.projection(x.float())
            return torch.unflatten(scores, -1, self.codes.shape[:2])

    def forward(self, x: Tensor) -> Quantized:
        """Quantize (batch, frames, dim): a draw from torch's global generator in training, the best code otherwise."""
        logits = self.score(x)
        with torch.autocast(x.device.type, enabled=False):
            if self.training:
                choice = F.gumbel_softmax(logits, tau=self.temperature, hard=True)  # type: ignore[arg-type]  # a scalar
            else:
                choice = F.one_hot(logits.argmax(-1), logits.size(-1)).float()
            vectors = torch.einsum("btgv,gvd->btgd", choice, self.codes.float()).flatten(-2)
        return Quantized(vectors, choice.argmax(-1), logits)


def mean_distribution(probabilities: Tensor, valid: Tensor) -> Tensor:
    """(batch, frames, groups, codes), (batch, frames) bool -> (groups, codes): the mean over valid frames."""
    return (probabilities * valid[..., None, None]).sum((0, 1)) / valid.sum().clamp(min=1)


def temperature_at(update: int, *, start: float, end: float, num_updates: int) -> float:
    """The Gumbel temperature of update `update` (1-based): from `start` to `end` in equal ratios, then constant."""
    return start * math.pow(end / start, min(1.0, (update - 1) / num_updates))
