"""Feature extractors of whole utterances: log-mel, MFCC with deltas, and layers of a trained model."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.data.waveform import load_wav
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.mel import LogMel, MelSettings
from espnet2.ssl.modules.norm import TimeStatistics
from espnet2.ssl.modules.pieces import time_statistics
from espnet2.units.precision import computing_in
from espnet2.utils.device import FLOAT32
from espnet2.utils.errors import UserError

BATCH_SECONDS = 60.0  # padded audio of one forward pass
WHOLE_SECONDS = 600.0  # longer audio is cut: attention takes time that grows with the square of the length
CHUNK_SECONDS = 30.0  # of what is cut
CONTEXT_SECONDS = 15.0  # on both sides of a chunk, computed and thrown away. See doc/models.md for what it changes
WINDOW_BATCHES = 4  # audio in memory, to be sorted by length: larger wastes memory, smaller pads more
READERS = 4  # threads that decode audio while the model runs

Result = TypeVar("Result")


class FeatureExtractor(ABC):
    """Whole waveforms to features at a fixed rate."""

    dim: int
    num_layers: int
    geometry: FrameGeometry
    layers: tuple[int, ...] = (0,)  # their numbers, from 1; 0 is no layer of a model
    normalize: bool = False  # whether each utterance gets zero mean and unit variance first

    @abstractmethod
    def extract(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """(samples,) each -> (layers, frames, dim) each, on the device of the extractor."""

    @property
    def batch_samples(self) -> int:
        """Padded samples of one forward pass."""
        return round(BATCH_SECONDS * self.geometry.sample_rate)

    def is_long(self, num_samples: int) -> bool:
        """Whether so much audio is cut into chunks, which only `stream` gives one by one."""
        return False

    def stream(self, wav: Tensor) -> Iterator[Tensor]:
        """(samples,) -> (layers, frames, dim), part after part."""
        yield self.extract([wav])[0]


class LogMelFeatures(FeatureExtractor):
    """80 logarithms of Kaldi's mel energies at 100 Hz, without normalisation."""

    num_layers = 1

    def __init__(self, sample_rate: int) -> None:
        self.mel = LogMel(MelSettings(sample_rate))
        self.geometry, self.dim = self.mel.geometry, self.mel.settings.num_mels

    def extract(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """(samples,) each -> (1, frames, 80) each."""
        return [self._one(wav) for wav in wavs]

    def _one(self, wav: Tensor) -> Tensor:
        if self.geometry.output_lengths(len(wav)) == 0:
            return torch.zeros(1, 0, self.dim)
        frames: Tensor = self.mel(wav[None])
        return frames


class MfccFeatures(FeatureExtractor):
    """13 MFCC as Kaldi computes them (C0 for energy, no dither), deltas and delta-deltas: 39 values at 100 Hz.

    The features of HuBERT's first iteration; fairseq, examples/hubert/simple_kmeans.
    """

    dim = 39
    num_layers = 1

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.geometry = FrameGeometry(((sample_rate * 25 // 1000, sample_rate // 100),), sample_rate)

    def extract(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """(samples,) each -> (1, frames, 39) each."""
        return [self._one(wav)[None] for wav in wavs]

    def _one(self, wav: Tensor) -> Tensor:
        from torchaudio.compliance.kaldi import mfcc
        from torchaudio.functional import compute_deltas

        if self.geometry.output_lengths(len(wav)) == 0:
            return torch.zeros(0, self.dim)
        static = mfcc(wav[None], sample_frequency=float(self.sample_rate), use_energy=False, dither=0.0).T
        deltas = compute_deltas(static)
        return torch.cat([static, deltas, compute_deltas(deltas)]).T


class _Piece(NamedTuple):
    """A stretch of one waveform that goes through the model in one forward pass."""

    wav: Tensor
    owner: int  # which waveform
    first: int  # its first frame that is kept, counted in the whole waveform
    skip: int  # frames of context before it
    keep: int  # frames to keep


class LayerFeatures(FeatureExtractor):
    """Hidden layers of a model, without masks: batched, sorted by length, very long audio in chunks with context.

    Up to `whole_seconds` the attention sees everything. Of what is longer, a chunk sees only itself and its context, so
    its frames differ from those of one long forward pass. What a frontend normalises over the utterance is never cut:
    its statistics come from a first pass over the whole waveform.
    """

    def __init__(
        self,
        model: SSLModel,
        layers: Sequence[int],
        sample_rate: int,
        device: torch.device | str = "cpu",
        name: str = "the model",
        *,
        batch_seconds: float = BATCH_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
        chunk_seconds: float = CHUNK_SECONDS,
        context_seconds: float = CONTEXT_SECONDS,
        dtype: str = FLOAT32,
    ) -> None:
        for layer in layers:
            if not 1 <= layer <= model.encoder.num_layers:
                known = ", ".join(str(number) for number in range(1, model.encoder.num_layers + 1))
                raise UserError(f"{name} has no layer {layer}; its layers are {known}")
        self.geometry = model.frontend.geometry
        if self.geometry.sample_rate != sample_rate:
            raise UserError(
                f"{name} was trained at {self.geometry.sample_rate} Hz, the audio has {sample_rate} Hz; "
                "format it with the same --fs (stage 3)"
            )
        self.model = model.to(device).eval()
        self.layers = tuple(layers)
        self.device, self.dtype = torch.device(device), dtype
        self.dim, self.num_layers = model.encoder.dim, len(self.layers)
        self.normalize = model.frontend.normalize == "utterance"
        self.batch_seconds = batch_seconds
        self.whole_frames = round(whole_seconds * self.geometry.frame_rate)
        self.chunk_frames = max(1, round(chunk_seconds * self.geometry.frame_rate))
        self.context_frames = round(context_seconds * self.geometry.frame_rate)

    @property
    def batch_samples(self) -> int:
        return round(self.batch_seconds * self.geometry.sample_rate)

    def only(self, layers: Sequence[int]) -> "LayerFeatures":
        """The same model with fewer layers; nothing is loaded again."""
        part = copy.copy(self)
        part.layers, part.num_layers = tuple(layers), len(layers)
        return part

    def computing(self, dtype: str) -> "LayerFeatures":
        """The same model, computing in another type (`espnet2.units.precision`); features are float32 in any case."""
        other = copy.copy(self)
        other.dtype = dtype
        return other

    def extract(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """(samples,) each, on the host -> (layers, frames, dim) each."""
        outputs = [
            torch.empty(self.num_layers, self.geometry.output_lengths(len(wav)), self.dim, device=self.device)
            for wav in wavs
        ]
        whole = [owner for owner, wav in enumerate(wavs) if not self.is_long(len(wav))]
        for batch in self._batches([piece for owner in whole for piece in self._pieces(wavs[owner], owner)]):
            for piece, frames in zip(batch, self._forward(batch), strict=True):
                outputs[piece.owner][:] = frames
        for owner in sorted(set(range(len(wavs))) - set(whole)):
            torch.cat(list(self.stream(wavs[owner])), dim=1, out=outputs[owner])
        return outputs

    def is_long(self, num_samples: int) -> bool:
        """Whether so much audio is cut into chunks."""
        limit = max(self.whole_frames, self.chunk_frames + 2 * self.context_frames)
        return self.geometry.output_lengths(num_samples) > limit

    @torch.no_grad()
    def stream(self, wav: Tensor) -> Iterator[Tensor]:
        """(samples,) on the host, or mapped from a file -> (layers, frames, dim), part after part.

        Needs the memory of one batch, whatever the length.
        """
        statistics = time_statistics(self.model.frontend, wav, self.device) if self.is_long(len(wav)) else None
        pieces = self._pieces(wav, 0)
        together = max(1, self.batch_samples // self.geometry.num_samples(self.chunk_frames + 2 * self.context_frames))
        while batch := list(islice(pieces, together)):
            yield from self._forward(batch, statistics)

    @torch.no_grad()
    def _forward(self, batch: list[_Piece], statistics: TimeStatistics | None = None) -> list[Tensor]:
        """What is kept of each piece: (layers, frames, dim)."""
        lengths = torch.tensor([len(piece.wav) for piece in batch])
        padded = torch.nn.utils.rnn.pad_sequence([piece.wav for piece in batch], batch_first=True)
        self.model.frontend.set_time_statistics(statistics)
        try:
            with computing_in(self.dtype, self.device):
                layers = self._compute(padded.to(self.device), lengths.to(self.device))
        finally:
            self.model.frontend.set_time_statistics(None)
        return [
            torch.stack([layer[row, piece.skip : piece.skip + piece.keep].float() for layer in layers])
            for row, piece in enumerate(batch)
        ]

    def _compute(self, wavs: Tensor, lengths: Tensor) -> list[Tensor]:
        """(batch, samples), (batch,) samples -> (batch, frames, dim) of each layer."""
        return self.model.first.extract(wavs, lengths, self.layers)[0]

    def _pieces(self, wav: Tensor, owner: int) -> Iterator[_Piece]:
        """Equal parts of at most the chunk length, each with its context."""
        hop, num_frames = self.geometry.hop_samples, self.geometry.output_lengths(len(wav))
        if not self.is_long(len(wav)):
            if num_frames:
                yield _Piece(wav, owner, 0, 0, num_frames)
            return
        num_parts = -(-num_frames // self.chunk_frames)
        for part in range(num_parts):
            first, stop = part * num_frames // num_parts, (part + 1) * num_frames // num_parts
            begin = max(0, first - self.context_frames)
            end = min(num_frames, stop + self.context_frames)
            samples = wav[begin * hop : begin * hop + self.geometry.num_samples(end - begin)]
            yield _Piece(samples, owner, first, first - begin, stop - first)

    def _batches(self, pieces: list[_Piece]) -> Iterator[list[_Piece]]:
        """Pieces of similar length together, as many as fit."""
        batch: list[_Piece] = []
        for piece in sorted(pieces, key=lambda piece: len(piece.wav)):
            if batch and (len(batch) + 1) * len(piece.wav) > self.batch_samples:
                yield batch
                batch = []
            batch.append(piece)
        if batch:
            yield batch


def map_features(
    index: AudioIndex | JoinedIndex,
    rows: Iterable[int],
    extractor: FeatureExtractor,
    function: Callable[[int, Tensor], Result],
) -> Iterator[Result]:
    """Apply `function(row, features)` to utterances, in the order of `rows`; audio is read ahead, a window at a time.

    Args:
        rows: of the index.
        function: gets the row and (layers, frames, dim) on the extractor's device; return something small.

    Raises:
        UserError: an audio file is gone or has changed since the index was built.
    """
    windows = list(_windows(index, rows))
    with ThreadPoolExecutor(READERS) as pool:

        def submit(number: int) -> list[Future[Tensor]]:
            part = windows[number] if number < len(windows) else []
            return [pool.submit(load_wav, index, row, normalize=extractor.normalize) for row in part]

        coming = submit(0)
        for number, window in enumerate(windows):
            wavs = [future.result() for future in coming]
            coming = submit(number + 1)
            for row, features in zip(window, extractor.extract(wavs), strict=True):
                yield function(row, features)


def _windows(index: AudioIndex | JoinedIndex, rows: Iterable[int]) -> Iterator[list[int]]:
    limit = WINDOW_BATCHES * BATCH_SECONDS * index.sample_rate
    window: list[int] = []
    total = 0
    for row in rows:
        if window and total + index.num_samples[row] > limit:
            yield window
            window, total = [], 0
        window.append(int(row))
        total += int(index.num_samples[row])
    if window:
        yield window
