"""A row of an index in, the waveform of that whole utterance out."""

import numpy as np
import torch
from torch import Tensor

from espnet2.data.audio.read import read_audio
from espnet2.data.format.write import Clipping, SampleSums
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
        mean, variance = statistics(index, row)
        samples = (samples - mean) / np.sqrt(variance + VARIANCE_FLOOR)
    return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))


def statistics(index: AudioIndex | JoinedIndex, row: int) -> tuple[np.float32, np.float32]:
    """Mean and variance of a whole utterance: from the index, or where stage 3 did not decode it, from the audio.

    Raises:
        UserError: the audio cannot be read.
    """
    mean, variance = index.mean[row], index.variance[row]
    if not np.isnan(mean):
        return mean, variance
    wave, _ = read_audio(index.path(row))
    sums = SampleSums()
    sums.add(Clipping().to_int16(wave))
    # Through the text of utt2stats: these are the bits that an index of a decoded set holds.
    return np.float32(f"{sums.mean:.9g}"), np.float32(f"{sums.variance:.9g}")
