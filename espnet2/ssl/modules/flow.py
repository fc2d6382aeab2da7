"""Bricks of flow matching (Lipman et al., 2023, section 4.1): the path, the way along it, what is hidden, the time."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LONGEST_PERIOD = 10000.0  # of the sinusoids, in units of scaled time (Vaswani et al., 2017, section 3.5)


class PathPoint(NamedTuple):
    """Where a sample is at some time, and where it is going."""

    noisy: Tensor  # (batch, frames, dim): x_t
    velocity: Tensor  # (batch, frames, dim): dx/dt, the same at every time


def path_point(data: Tensor, noise: Tensor, time: Tensor, sigma_min: float) -> PathPoint:
    """The straight conditional path from noise to data (Lipman et al., 2023, section 4.1; Voicebox, section 3.1).

    Args:
        data: (batch, frames, dim): x_1.
        noise: (batch, frames, dim) of N(0, 1): x_0.
        time: (batch,) within 0..1, one per utterance.
        sigma_min: what is left of the noise at time 1.

    Returns:
        x_t = (1 - (1 - sigma_min) t) x_0 + t x_1 and u = x_1 - (1 - sigma_min) x_0.
    """
    time = time[:, None, None]
    noisy = (1 - time + sigma_min * time) * noise + time * data  # written so that t = 1 leaves exactly sigma_min
    return PathPoint(noisy, data - (1 - sigma_min) * noise)


def integrate(
    velocity: Callable[[Tensor, float], Tensor],
    start: Tensor,
    num_steps: int,
    method: Literal["midpoint", "euler"] = "midpoint",
) -> Tensor:
    """Follow dx/dt = velocity(x, t) from time 0 to time 1 in equal steps.

    Every evaluation lies before time 1: at its steps' left ends (euler), or there and at their middles (midpoint, two
    evaluations per step).

    Args:
        start: x at time 0.
    """
    x, step = start, 1.0 / num_steps
    for number in range(num_steps):
        time = number * step
        slope = velocity(x, time)
        if method == "midpoint":
            slope = velocity(x + 0.5 * step * slope, time + 0.5 * step)
        x = x + step * slope
    return x


def draw_condition_mask(lengths: Tensor, *, low: float, high: float, span: int, generator: torch.Generator) -> Tensor:
    """Spans of frames to hide until a random share of each utterance is hidden (Voicebox and SpeechFlow).

    Row by row: a share r ~ U(low, high), then spans of `span` frames at starts in random order until at least
    round(r * length) frames are hidden. The surplus of the last span stays, so no run of hidden frames is shorter than
    `span`; an utterance that is shorter is hidden whole.

    Args:
        lengths: (batch,) valid frames.
        low, high: bounds of the share.

    Returns:
        (batch, max(lengths)) bool, True = hidden; padding is never hidden.
    """
    num_frames = int(lengths.max())
    lengths = lengths.long()[:, None]
    position = torch.arange(num_frames)
    share = low + (high - low) * torch.rand(len(lengths), 1, generator=generator, dtype=torch.float64)
    turn = torch.rand(len(lengths), num_frames, generator=generator, dtype=torch.float64)  # when each start is drawn
    turn[position > (lengths - span).clamp(min=0)] = math.inf
    turn = F.pad(turn, (span - 1, 0), value=math.inf)
    hidden_at = -F.max_pool1d(-turn, span, stride=1)  # the earliest of the starts whose span covers the frame
    hidden_at[position >= lengths] = math.inf
    num_hidden = (share * lengths).round().long().clamp(min=1)
    last_turn = hidden_at.sort(dim=1).values.gather(1, num_hidden - 1)
    return (hidden_at <= last_turn) & (position < lengths)


class TimeToken(nn.Module):
    """A time as one more frame: sines and cosines of geometric frequencies, then two linear layers if asked for.

    Args:
        dim: of the encoder.
        scale: factor on the time: sinusoids made for positions of 0..1000 resolve nothing within 0..1.
    """

    def __init__(self, dim: int, *, scale: float, mlp: bool) -> None:
        super().__init__()
        self.dim, self.scale = dim, scale
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim)) if mlp else nn.Identity()

    def forward(self, time: Tensor) -> Tensor:
        """(batch,) within 0..1 -> (batch, 1, dim)."""
        half = (self.dim + 1) // 2
        # In float32: at a scale of 1000 the angles that bf16 knows are up to four radians apart.
        exponent = torch.arange(half, device=time.device, dtype=torch.float32) / half
        angle = self.scale * time.float()[:, None] * LONGEST_PERIOD**-exponent
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)[:, : self.dim]
        token: Tensor = self.mlp(waves)
        return token[:, None]
