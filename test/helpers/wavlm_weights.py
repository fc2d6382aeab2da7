"""Our WavLM state dict in, the names of transformers and torchaudio out: used to compare models with equal weights."""

from collections.abc import Mapping

from torch import Tensor

from espnet2.formats import names
from espnet2.formats.canonical import rename, to_canonical


def to_transformers_wavlm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `transformers.WavLMModel`."""
    return rename(to_canonical(state, "wavlm"), names.TRANSFORMERS)[0]


def to_torchaudio_wavlm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `torchaudio.models.wavlm_model`, which has neither head nor mask vector."""
    return rename(to_canonical(state, "wavlm", qkv=True), names.TORCHAUDIO_WAVLM)[0]
