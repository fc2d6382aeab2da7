"""A trained model that names units itself (DinoSR) in, the ids it gives every frame, layer by layer, out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from espnet2.ssl.model import SSLModel
from espnet2.ssl.units.features import FeatureExtractor
from espnet2.utils.errors import UserError


class CodeFeatures(FeatureExtractor):
    """Ids as features of one value: (layers, frames, 1) float32, exact up to 16 million codes."""

    dim = 1

    def __init__(self, model: SSLModel, sample_rate: int, device: torch.device | str, name: str) -> None:
        if not hasattr(model.first, "codes"):
            raise UserError(f"{name}: {type(model.first).__name__} has no codes of its own; give it as model:{name}")
        if model.frontend.geometry.sample_rate != sample_rate:
            raise UserError(
                f"{name} was trained at {model.frontend.geometry.sample_rate} Hz, the audio has {sample_rate}"
            )
        self.model, self.device = model.to(device).eval(), torch.device(device)
        self.geometry = model.frontend.geometry
        self.normalize = model.frontend.normalize == "utterance"
        self.layers = tuple(model.first.layers)
        self.num_layers = len(self.layers)

    @torch.no_grad()
    def extract(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """(samples,) each -> (layers, frames, 1) each, one utterance at a time."""
        return [self._one(wav) for wav in wavs]

    def _one(self, wav: Tensor) -> Tensor:
        if self.geometry.output_lengths(len(wav)) == 0:
            return torch.zeros(self.num_layers, 0, 1)
        found = self.model.first.codes(wav[None].to(self.device), torch.tensor([len(wav)], device=self.device))
        return torch.stack([found.codes[layer][0] for layer in self.layers])[..., None].float()
