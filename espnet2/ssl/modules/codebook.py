"""The codebooks of DinoSR (section 3.2): one per layer, its codes moving averages of the frames assigned to them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.collective import sum_over_ranks


class OnlineCodebooks(nn.Module):
    """One codebook per layer whose codes are moving averages of the frames assigned to them (DinoSR, section 3.2).

    A code is sum / count. Both are float32 buffers of the checkpoint. Frames are assigned with the codes of before the
    update; what all micro-batches and ranks gathered moves them once, in `move`. (The reference moves them in every
    micro-batch.) A code that no frame chose stays as it is.

    Args:
        decay: share of sum and count that stays at each move.
        init_std: of the first codes. With 1 they lie as far from the mean as the normalised frames, and a code that no
            frame chooses at the start is rarely chosen later. Codes that start near the mean are nearer to any frame
            than the codes of other frames, so that no code is lost; small models and batches need that.
    """

    sums: Tensor  # (codebooks, codes, dim)
    counts: Tensor  # (codebooks, codes)

    def __init__(self, num_codebooks: int, num_codes: int, dim: int, decay: float, init_std: float = 1.0) -> None:
        super().__init__()
        self.decay = decay
        codes = torch.randn(num_codebooks, num_codes, dim)
        # Every dimension has the same mean and variance over the codes, as that of the normalised frames over time.
        deviation, mean = torch.std_mean(codes, dim=1, keepdim=True)
        self.register_buffer("sums", (codes - mean) / deviation * init_std)
        self.register_buffer("counts", torch.ones(num_codebooks, num_codes))
        self._gathered: Tensor | None = None  # (codebooks, codes, dim + 1): sums and, last, counts of this update

    @property
    def num_codes(self) -> int:
        return self.counts.size(1)

    @torch.no_grad()
    def assign(self, number: int, frames: Tensor) -> Tensor:
        """The nearest code of one codebook: (batch, frames, dim) -> (batch, frames) int64."""
        return self.distances(number, frames).argmin(-1)

    @torch.no_grad()
    def distances(self, number: int, frames: Tensor) -> Tensor:
        """How far frames are from the codes of one codebook: (batch, frames, dim) -> (batch, frames, codes) float32.

        Returns:
            Squared distances less the squared norm of the frame, which is the same for all codes.
        """
        with torch.autocast(frames.device.type, enabled=False):  # in half precision the argmin is lost
            codes = self.sums[number] / self.counts[number, :, None]
            return codes.square().sum(1) - 2 * frames.float() @ codes.T

    @torch.no_grad()
    def gather(self, number: int, frames: Tensor, codes: Tensor, chosen: Tensor) -> Tensor:
        """Note the frames of one micro-batch for the next move.

        Args:
            frames: (batch, frames, dim).
            codes: (batch, frames) from `assign`.
            chosen: (batch, frames) bool, the frames that count.

        Returns:
            (codes,) float32: how many chosen frames each code has.
        """
        with torch.autocast(frames.device.type, enabled=False):
            members = F.one_hot(codes, self.num_codes).float() * chosen[..., None]
            members = members.flatten(0, 1)
            counts = members.sum(0)
            if self.training:
                if self._gathered is None:
                    self._gathered = self._nothing()
                self._gathered[number, :, :-1] += members.T @ frames.float().flatten(0, 1)
                self._gathered[number, :, -1] += counts
        return counts

    def forget(self) -> None:
        """Drop what was gathered. A tensor from the first micro-batch on: compiled graphs differ by what is None."""
        self._gathered = self._nothing()

    def _nothing(self) -> Tensor:
        return self.sums.new_zeros(*self.sums.shape[:2], self.sums.size(2) + 1)

    @torch.no_grad()
    def move(self) -> None:
        """Move the codes towards the frames that all ranks gathered since `forget`; every rank calls it."""
        if self._gathered is None:
            return
        gathered, self._gathered = sum_over_ranks(self._gathered), None  # the counts travel with the sums
        counts = gathered[..., -1]
        keep = torch.where(counts > 0, self.decay, 1.0)
        self.counts.copy_(keep * self.counts + (1 - keep) * counts)
        self.sums.copy_(keep[..., None] * self.sums + (1 - keep[..., None]) * gathered[..., :-1])


def perplexity(shares: Tensor) -> Tensor:
    """2^entropy of distributions, as fairseq rounds it: (..., codes) that sum to one -> (...), 1 to `codes`.

    >>> round(float(perplexity(torch.tensor([0.5, 0.5, 0.0]))), 4)
    2.0
    """
    return torch.exp2(-(shares * torch.log2(shares + 1e-8)).sum(-1))
