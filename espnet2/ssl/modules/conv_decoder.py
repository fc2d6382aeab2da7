"""The decoder of data2vec 2.0 (arXiv 2212.07525, section 3.1): a few convolutions fill in the masked frames."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.lengths import zero_padding
from espnet2.ssl.modules.noise import normal_noise
from espnet2.ssl.modules.products import convolve_frames

EVALUATION_SEED = 0  # of the noise that fills the holes of validation: the same at each of them


class ConvDecoder(nn.Module):
    """Grouped convolutions with LayerNorm and GELU, residuals between equal widths, and a linear layer.

    data2vec 2.0 (arXiv 2212.07525), section 3.1; sizes of fairseq's public recipe.

    Args:
        dim: width of the encoder, in and out.
        hidden_dim: channels of the convolutions.
        kernel: frames, odd.
        dropout: of the input.
        noise_std: standard deviation of what stands at hidden frames.
    """

    def __init__(
        self, dim: int, hidden_dim: int, *, num_layers: int, kernel: int, groups: int, dropout: float, noise_std: float
    ) -> None:
        super().__init__()
        self.noise_std = noise_std
        self.dropout = nn.Dropout(dropout)
        widths = [dim] + [hidden_dim] * num_layers
        self.convs = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding=kernel // 2, groups=groups) for before, after in pairwise(widths)
        )
        self.output = nn.Linear(hidden_dim, dim)

    def forward(self, encoded: Tensor, keep: Tensor, num_frames: int, valid: Tensor | None) -> Tensor:
        """Put the visible frames back to their places and predict all.

        Args:
            encoded: (rows, kept, dim).
            keep: (rows, kept) their indices, negative = padding.
            num_frames: of the whole utterance.
            valid: (rows, num_frames) bool; None where nothing is padded.

        Returns:
            (rows, num_frames, dim).
        """
        encoded = self.dropout(encoded)
        holes = self._noise(num_frames + 1, encoded)  # one frame more takes the padding of `keep`
        places = torch.where(keep < 0, num_frames, keep)[..., None].expand_as(encoded)
        x = holes.scatter(1, places, encoded)[:, :num_frames]
        for conv in self.convs:
            # Padding is noise, and each layer fills it anew: it must be zero before every kernel that reaches it.
            residual, x = x, convolve_frames(cast(nn.Conv1d, conv), zero_padding(x, valid))
            x = F.gelu(F.layer_norm(x, (x.size(-1),)))
            if x.shape == residual.shape:
                x = x + residual
        predicted: Tensor = self.output(x)
        return predicted

    def _noise(self, num_frames: int, like: Tensor) -> Tensor:
        """(rows, num_frames, dim) noise; drawn frame by frame, so that more padding leaves it alone."""
        shape = (num_frames, like.size(0), like.size(2))
        noise = normal_noise(shape, like, seed=None if self.training else EVALUATION_SEED)
        return self.noise_std * noise.transpose(0, 1)
