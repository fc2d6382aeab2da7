"""A trained model that another one learns from: no part of the student, its weights, its checkpoints or its mode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.ssl.encoder.base import Encoder, Hidden
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.norm import normalise_over_time

Encode = Callable[[Tensor, Tensor, tuple[int, ...]], tuple[Hidden, Tensor]]


@dataclass(frozen=True)
class TrainedTeacher:
    """A model as it was trained, in evaluation mode.

    No nn.Module, so that a student that holds it neither trains nor saves it: the run loads it at every start, by its
    name, and its hash is part of what a resumed run must find unchanged.
    """

    name: str  # as the user calls it
    model: nn.Module  # all of it, in evaluation mode
    frontend: Frontend  # of `model`
    encoder: Encoder  # of `model`
    encode: Encode  # `Objective.encode_whole` of its first objective
    scales: bool = False  # it wants waveforms of zero mean and unit variance, and gets others

    @torch.no_grad()
    def layers(self, wavs: Tensor, lengths: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Outputs of whole layers, after the residual.

        Args:
            wavs: (batch, samples), scaled as the student wants them.
            lengths: (batch,) valid samples.
            layers: 1-based, as for `Objective.extract`.

        Returns:
            [(batch, frames, dim) float32] in the order of `layers`.
        """
        if self.scales:
            wavs = normalise_over_time(wavs[..., None], lengths, eps=VARIANCE_FLOOR)[..., 0]
        hidden, _ = self.encode(wavs, lengths, tuple(layers))
        return [hidden.layers[layer].float() for layer in layers]
