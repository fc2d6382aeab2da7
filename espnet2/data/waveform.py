"""A row of an index in, the waveform of that whole utterance out."""

import numpy as np
import torch
from torch import Tensor

from espnet2.data.audio.read import read_audio
from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.utils.errors import UserError

VARIANCE_FLOOR = 1e-5  # HuBERT LARGE: layer norm of the whole waveform, methods of fairseq


def load_wav(index: AudioIndex | JoinedIndex, row: int, *, normalize: bool) -> Tensor:
    """One utterance: (samples,) float32, with zero mean and unit variance if `normalize`.

    Raises:
        UserError: the audio is not what the index says.
    """
    samples, sample_rate = read_audio(index.path(row))
    if len(samples) != index.num_samples[row] or sample_rate != index.sample_rate:
        raise UserError(
            f"{index.path(row)}: {len(samples)} samples at {sample_rate} Hz, but the index says "
            f"{index.num_samples[row]} at {index.sample_rate} Hz; it changed since stage 3: run stages 3 to 6 again"
        )
    if normalize:
        samples = (samples - index.mean[row]) / np.sqrt(index.variance[row] + VARIANCE_FLOOR)
    return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
