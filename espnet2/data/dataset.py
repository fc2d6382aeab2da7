"""The description of a micro-batch in, the Batch out: audio cropped at frame multiples, labels, and all draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espnet2.data.audio.read import read_audio
from espnet2.data.augment.augment import Augmenter, Clip
from espnet2.data.augment.sets import SetAugmenters
from espnet2.data.augment.signal import Wave, labels_at_speed, played_samples, resampled, source_samples
from espnet2.data.batch import Batch, Draw
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.packed import NO_LABEL, PackedLabels, frame_labels
from espnet2.data.sampler import MicroBatch
from espnet2.data.waveform import VARIANCE_FLOOR, statistics
from espnet2.utils.errors import UserError

TRAIN_STREAM, VALID_STREAM = 0, 1  # keeps validation's draws apart from training's
CROP_ENTRY = 1 << 20  # the "entry" of crop starts, far above any loss entry's number
AUGMENT_ENTRY = CROP_ENTRY + 1  # and of augmentation


class Loaded(NamedTuple):
    """What a loader process hands over."""

    batch: Batch
    number: int  # global number of the micro-batch
    num_samples: int  # valid samples in it, padding not counted


class Crop(NamedTuple):
    """One row of a micro-batch, before its audio is read."""

    row: int  # of the index
    start: int  # first sample of the utterance
    num_samples: int  # of the clip, as played
    speed: float
    random: np.random.Generator | None  # of this clip's augmentation

    @property
    def source_samples(self) -> int:
        """Samples of the utterance that the clip plays."""
        return source_samples(self.num_samples, self.speed)


@dataclass(frozen=True)
class SpeechDataset(torch.utils.data.Dataset[Loaded]):
    """Makes Batches; holds no file open and no audio, so it travels to loader processes at no cost.

    The same description gives the same bytes in any process: all randomness comes from (seed, number, entry).
    """

    index: AudioIndex | JoinedIndex
    labels: PackedLabels | JoinedLabels | None  # with the same rows
    draws: Mapping[str, Draw]  # loss entry -> its random part
    geometry: FrameGeometry
    normalize: str  # "none" or "utterance", see Frontend.normalize
    seed: int
    stream: int = TRAIN_STREAM
    augment: Augmenter | SetAugmenters | None = None  # None: clean audio, as validation hears it
    named_labels: Mapping[str, PackedLabels | JoinedLabels] = field(default_factory=dict)  # each with the same rows

    def __getitem__(self, item: MicroBatch) -> Loaded:
        """Read, crop, augment and draw.

        Raises:
            UserError: audio that is missing or shorter than the index says.
        """
        crops = self._crops(item)
        wavs = new_wavs(len(crops), item.num_samples)
        mixed = torch.zeros(len(crops), dtype=torch.bool)
        for row, crop, number in zip(wavs.numpy(), crops, range(len(crops)), strict=True):
            target, row[crop.num_samples :] = row[: crop.num_samples], 0.0
            clip = self._clip(crop, target)
            if clip.wav is not target:
                target[:] = clip.wav
            mixed[number] = clip.is_mixed
        wav_lengths = torch.tensor([crop.num_samples for crop in crops])
        utt_ids = tuple(self.index.utt_id(crop.row) for crop in crops)
        draws = {
            name: draw(wav_lengths, utt_ids, self._generator(item.number, entry))
            for entry, (name, draw) in enumerate(self.draws.items())
        }
        labels = self.make_labels(item, crops, wav_lengths)
        mixes = self.augment is not None and self.augment.mixes
        batch = Batch(
            wavs,
            wav_lengths,
            labels,
            utt_ids,
            draws,
            mixed=mixed if mixes else None,
            named_labels={
                name: self._frame_labels(given, item, crops, wav_lengths) for name, given in self.named_labels.items()
            },
            label_weights=self._label_weights(item, crops, wav_lengths),
        )
        return Loaded(batch, item.number, int(wav_lengths.sum()))

    def _generator(self, number: int, entry: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed_for(self.seed, self.stream, number, entry))

    def _crops(self, item: MicroBatch) -> list[Crop]:
        """Where each clip lies in its utterance; starts are multiples of the frame hop, so that labels stay aligned."""
        lengths = np.asarray(self.index.num_samples[item.rows]).astype(np.int64)
        augmenters = [self.augment.of(int(row)) if self.augment else None for row in item.rows]
        randoms = [
            self._random(item.number, int(row)) if augmenter else None
            for row, augmenter in zip(item.rows, augmenters, strict=True)
        ]
        speeds = [
            augmenter.draw_speed(random) if augmenter and random else 1.0
            for augmenter, random in zip(augmenters, randoms, strict=True)
        ]
        played = [
            min(item.num_samples, played_samples(int(length), speed))
            for length, speed in zip(lengths, speeds, strict=True)
        ]
        needed = [source_samples(count, speed) for count, speed in zip(played, speeds, strict=True)]
        starts = self._crop_starts(lengths - needed, item.number)
        columns = zip(item.rows.tolist(), starts.tolist(), played, speeds, randoms, strict=True)
        return [Crop(*column) for column in columns]

    def _random(self, number: int, row: int) -> np.random.Generator:
        """Of the augmentation of one clip."""
        return np.random.default_rng(seed_for(self.seed, self.stream, number, AUGMENT_ENTRY, row))

    def _crop_starts(self, surplus: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        """(batch,) first samples, multiples of the frame hop, of crops so much shorter than their utterances."""
        hop = self.geometry.hop_samples
        choices = surplus // hop + 1
        uniform = torch.rand(len(surplus), generator=self._generator(number, CROP_ENTRY), dtype=torch.float64)
        return np.minimum((uniform.numpy() * choices).astype(np.int64), choices - 1) * hop

    def _clip(self, crop: Crop, target: Wave) -> Clip:
        """The audio of a crop, augmented, then normalised; in `target` where nothing is done to it."""
        out = target if crop.source_samples == crop.num_samples else None
        wav = self._read(crop.row, crop.start, crop.source_samples, out)
        augmenter = self.augment.of(crop.row) if self.augment else None
        if augmenter is None or crop.random is None:
            return Clip(self._normalized(wav, wav, crop.row), False)
        if crop.speed != 1.0:
            rate = self.index.sample_rate
            wav = resampled(wav, rate_in=crop.speed * rate, rate_out=rate, num_samples=crop.num_samples)
        clip = augmenter(wav, crop.random, partial(self._partner, crop.row))
        return clip._replace(wav=self._normalized(clip.wav, wav, crop.row))

    def _partner(self, row: int, random: np.random.Generator, num_samples: int) -> Wave:
        """At most so many samples of a random utterance of the training sets, never of the same one."""
        other = int(random.integers(len(self.index) - 1))
        other += other >= row
        length = int(self.index.num_samples[other])
        count = min(num_samples, length)
        return self._read(other, int(random.integers(length - count + 1)), count)

    def _read(self, row: int, start: int, num_samples: int, out: Wave | None = None) -> Wave:
        wav, sample_rate = read_audio(self.index.path(row), start=start, num_samples=num_samples, out=out)
        if len(wav) != num_samples or sample_rate != self.index.sample_rate:
            raise UserError(
                f"utterance {self.index.utt_id(row)}: {self.index.path(row)} has {start + len(wav)} samples at "
                f"{sample_rate} Hz, the index expects {start + num_samples} at {self.index.sample_rate} Hz; "
                "the audio changed after stage 6: run stages 3 to 6 again"
            )
        return wav

    def _normalized(self, wav: Wave, clean: Wave, row: int) -> Wave:
        """By the statistics of the whole utterance, changed as much as augmentation changed those of the clip.

        For a whole utterance these are exactly the statistics of the augmented wave, which is what `extract` and
        fine-tuning will normalise a noisy recording by.
        """
        if self.normalize != "utterance":
            return wav
        mean, known_variance = statistics(self.index, row)
        variance = float(known_variance)
        if wav is not clean:
            mean = np.float32(mean + wav.mean(dtype=np.float64) - clean.mean(dtype=np.float64))
            before, after = clean.var(dtype=np.float64), wav.var(dtype=np.float64)
            variance *= after / before if before > 0 else 1.0
        normalized: Wave = (wav - mean) * np.float32(1.0 / np.sqrt(variance + VARIANCE_FLOOR))
        return normalized

    def make_labels(self, item: MicroBatch, crops: Sequence[Crop], wav_lengths: Tensor) -> Tensor | None:
        """The labels without a name, as `_frame_labels`; None where there are none.

        Other targets: override it.

        Args:
            wav_lengths: (batch,) samples of the clips.
        """
        return None if self.labels is None else self._frame_labels(self.labels, item, crops, wav_lengths)

    def _frame_labels(
        self, given: PackedLabels | JoinedLabels, item: MicroBatch, crops: Sequence[Crop], wav_lengths: Tensor
    ) -> Tensor:
        """(batch, frames) int64, or (batch, frames, width); NO_LABEL where an utterance or its labels have ended."""
        rows = [given.labels(crop.row) for crop in crops]
        labels = self._in_frames(rows, given.label_rate, item, crops)
        return torch.where(self._valid(item, wav_lengths, labels), labels, NO_LABEL)

    def _label_weights(self, item: MicroBatch, crops: Sequence[Crop], wav_lengths: Tensor) -> dict[str, Tensor]:
        """Of each soft label set: (batch, frames, width) float32; 0 where an utterance or its labels have ended."""
        sets = {} if self.labels is None else {"": self.labels}
        all_weights = {}
        for name, given in {**sets, **self.named_labels}.items():
            if given.is_soft:
                rows = [given.weights(crop.row) for crop in crops]
                weights = self._in_frames(rows, given.label_rate, item, crops)
                all_weights[name] = weights * self._valid(item, wav_lengths, weights)
        return all_weights

    def _in_frames(
        self, rows: list[NDArray[np.generic]], label_rate: float, item: MicroBatch, crops: Sequence[Crop]
    ) -> Tensor:
        """(batch, frames, ...) of what whole utterances have at the rate of their labels."""
        num_frames = self.geometry.output_lengths(item.num_samples)
        frames = []
        for row, crop in zip(rows, crops, strict=True):
            align = frame_labels if crop.speed == 1.0 else partial(labels_at_speed, speed=crop.speed)
            frames.append(
                align(
                    row,
                    label_rate=label_rate,
                    geometry=self.geometry,
                    start_sample=crop.start,
                    num_frames=num_frames,
                )
            )
        return torch.from_numpy(np.stack(frames))

    def _valid(self, item: MicroBatch, wav_lengths: Tensor, like: Tensor) -> Tensor:
        """(batch, frames) bool, with as many axes as `like`: which frames are not padding."""
        num_frames = self.geometry.output_lengths(item.num_samples)
        valid = torch.arange(num_frames) < self.geometry.output_lengths(wav_lengths)[:, None]
        return valid.view(*valid.shape, *(1,) * (like.dim() - 2))


def new_wavs(count: int, num_samples: int) -> Tensor:
    """(count, samples) float32, not filled; in a loader process in shared memory: handing it over is no copy."""
    if torch.utils.data.get_worker_info() is None:
        return torch.empty(count, num_samples, dtype=torch.float32)
    # As `default_collate` of PyTorch does for the batches that it makes.
    storage: torch.UntypedStorage = torch.UntypedStorage._new_shared(count * num_samples * torch.float32.itemsize)
    wavs: Tensor = torch.empty(0, dtype=torch.float32).set_(storage, 0, (count, num_samples), (num_samples, 1))
    return wavs


def seed_for(*parts: int) -> int:
    """A 63-bit seed for a tuple of non-negative numbers; unlike sums of products, different tuples do not collide."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
