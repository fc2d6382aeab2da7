"""The extractor of the units that a trained model names itself (DinoSR, wav2vec 2.0, w2v-BERT)."""

import torch
from torch import Tensor

from espnet2.ssl.model import SSLModel
from espnet2.units.features import LayerFeatures
from espnet2.utils.device import FLOAT32
from espnet2.utils.errors import UserError


class CodeFeatures(LayerFeatures):
    """Ids as features of one value, one "layer" for each codebook: float32, exact up to 16 million codes."""

    def __init__(
        self,
        model: SSLModel,
        sample_rate: int,
        device: torch.device | str = "cpu",
        name: str = "the model",
        dtype: str = FLOAT32,
        **options: float,
    ) -> None:
        if not model.first.code_numbers:
            raise UserError(f"{name}: {type(model.first).__name__} has no codes of its own; take a k-means of a layer")
        super().__init__(model, (), sample_rate, device, name, dtype=dtype, **options)
        self.layers = model.first.code_numbers
        self.num_layers, self.dim = len(self.layers), 1
        self.num_codes = model.first.num_codes

    def _compute(self, wavs: Tensor, lengths: Tensor) -> list[Tensor]:
        """(batch, samples), (batch,) samples -> (batch, frames, 1) of each codebook."""
        codes = self.model.first.codes(wavs, lengths).codes
        return [codes[number][..., None].float() for number in self.layers]
