"""Our HuBERT state dict in, the names of transformers and torchaudio out: used to compare models with equal weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from espnet2.formats import names
from espnet2.formats.canonical import rename, to_canonical


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `transformers.HubertModel`; the prediction head, which it does not have, is left out."""
    return rename(to_canonical(state, "hubert"), names.TRANSFORMERS)[0]


def to_torchaudio(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `torchaudio.models.HuBERTPretrainModel`."""
    return rename(to_canonical(state, "hubert"), names.TORCHAUDIO_PRETRAINING)[0]


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Move every parameter away from special values such as a norm's 1 and 0, so that a wrong mapping shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
