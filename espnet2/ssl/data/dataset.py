"""The description of a micro-batch in, the Batch out: audio cropped at frame multiples, labels, and all draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espnet2.ssl.data.audio import read_audio
from espnet2.ssl.data.batch import NO_LABEL, Batch
from espnet2.ssl.data.labels import frame_labels
from espnet2.ssl.data.sampler import MicroBatch
from espnet2.ssl.frontend.geometry import FrameGeometry
from espnet2.ssl.objective.base import Draw
from espnet2.utils.errors import UserError

NORMALIZE_EPSILON = 1e-5  # of the variance: fairseq's layer norm over the whole wave, HuBERT Large
TRAIN_STREAM, VALID_STREAM = 0, 1  # keeps validation's draws apart from training's
CROP_ENTRY = 1 << 20  # the "entry" of crop starts, far above any loss entry's number


class Loaded(NamedTuple):
    """What a loader process hands over."""

    batch: Batch
    number: int  # global number of the micro-batch
    num_samples: int  # valid samples in it, padding not counted


@dataclass(frozen=True)
class SpeechDataset(torch.utils.data.Dataset):
    """Makes Batches; holds no file open and no audio, so it travels to loader processes at no cost.

    The same description gives the same bytes in any process: all randomness comes from (seed, number, entry).
    """

    index: Any  # AudioIndex or JoinedIndex
    labels: Any  # PackedLabels or JoinedLabels with the same rows, or None
    draws: Mapping[str, Draw]  # loss entry -> its random part
    geometry: FrameGeometry
    normalize: str  # "none" or "utterance", see Frontend.normalize
    seed: int
    stream: int = TRAIN_STREAM

    def __getitem__(self, item: MicroBatch) -> Loaded:
        """Read, crop and draw.

        Raises:
            UserError: audio that is missing or shorter than the index says.
        """
        row_lengths = np.minimum(np.asarray(self.index.num_samples[item.rows]), item.num_samples)
        starts = self._crop_starts(item)
        wavs = np.zeros((len(item.rows), item.num_samples), dtype=np.float32)
        for wav, row, start, length in zip(wavs, item.rows, starts, row_lengths, strict=True):
            wav[:length] = self._read(int(row), int(start), int(length))
        wav_lengths = torch.from_numpy(row_lengths.astype(np.int64))
        utt_ids = tuple(self.index.utt_id(int(row)) for row in item.rows)
        draws = {
            name: draw(wav_lengths, utt_ids, self._generator(item.number, entry))
            for entry, (name, draw) in enumerate(self.draws.items())
        }
        labels = None if self.labels is None else self._labels(item, starts, wav_lengths)
        batch = Batch(torch.from_numpy(wavs), wav_lengths, labels, utt_ids, draws)
        return Loaded(batch, item.number, int(row_lengths.sum()))

    def _generator(self, number: int, entry: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed_for(self.seed, self.stream, number, entry))

    def _crop_starts(self, item: MicroBatch) -> NDArray[np.int64]:
        """(batch,) first samples: multiples of the frame hop, so that labels and frames stay aligned."""
        hop = self.geometry.hop_samples
        surplus = np.asarray(self.index.num_samples[item.rows]).astype(np.int64) - item.num_samples
        choices = np.maximum(surplus, 0) // hop + 1
        uniform = torch.rand(len(item.rows), generator=self._generator(item.number, CROP_ENTRY), dtype=torch.float64)
        return np.minimum((uniform.numpy() * choices).astype(np.int64), choices - 1) * hop

    def _read(self, row: int, start: int, num_samples: int) -> NDArray[np.float32]:
        wav, sample_rate = read_audio(self.index.path(row), start=start, num_samples=num_samples)
        if len(wav) != num_samples or sample_rate != self.index.sample_rate:
            raise UserError(
                f"utterance {self.index.utt_id(row)}: {self.index.path(row)} has {start + len(wav)} samples at "
                f"{sample_rate} Hz, the index expects {start + num_samples} at {self.index.sample_rate} Hz; "
                "the audio changed after stage 6: run stages 3 to 6 again"
            )
        if self.normalize == "utterance":
            scale = 1.0 / np.sqrt(float(self.index.variance[row]) + NORMALIZE_EPSILON)
            wav = (wav - np.float32(self.index.mean[row])) * np.float32(scale)
        return wav

    def _labels(self, item: MicroBatch, starts: NDArray[np.int64], wav_lengths: Tensor) -> Tensor:
        """(batch, frames) int64; NO_LABEL where an utterance or its labels have ended."""
        num_frames = self.geometry.output_lengths(item.num_samples)
        labels = np.stack(
            [
                frame_labels(
                    self.labels.labels(int(row)),
                    label_rate=self.labels.label_rate,
                    geometry=self.geometry,
                    start_sample=int(start),
                    num_frames=num_frames,
                )
                for row, start in zip(item.rows, starts, strict=True)
            ]
        )
        valid = torch.arange(num_frames) < self.geometry.output_lengths(wav_lengths)[:, None]
        return torch.where(valid, torch.from_numpy(labels), NO_LABEL)


def seed_for(*parts: int) -> int:
    """A 63-bit seed for a tuple of non-negative numbers; unlike sums of products, different tuples do not collide."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
