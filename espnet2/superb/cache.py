"""Audio in, its hidden layers out: encoded once, kept on disk by hash within a budget, for all tasks and runs."""

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.evaluate.systems import System, open_system
from espnet2.superb.audio import HeardSet, Piece
from espnet2.units.features import FeatureExtractor, LayerFeatures
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_value

VERSION = 2  # of the features; another number encodes again
HEADER_BYTES = 128  # of a file of NumPy
Form = Literal["frames", "mean"]  # what a task needs of an utterance: every frame, or their mean
FORMS: tuple[Form, ...] = ("frames", "mean")


class Precision(NamedTuple):
    """How frames are kept. Means are always float32: they are small."""

    name: str
    dtype: type[np.floating]


PRECISIONS = {"float16": Precision("float16", np.float16), "float32": Precision("float32", np.float32)}


def open_encoder(system: System, sample_rate: int, device: str) -> FeatureExtractor:
    """All hidden states of a system, the input of the first block (layer 0) included, as SUPERB mixes them.

    Raises:
        UserError: as `open_system`.
    """
    extractor = open_system(system, sample_rate, device)
    return (
        extractor.only(range(extractor.model.encoder.num_layers + 1))
        if isinstance(extractor, LayerFeatures)
        else extractor
    )


class FeatureStore:
    """The features of one system, on disk.

    Where the budget is used up, what does not fit is encoded whenever it is asked for: slower, and the same numbers.
    """

    def __init__(
        self, folder: Path, system: System, extractor: FeatureExtractor, *, budget_bytes: float, precision: str
    ) -> None:
        identity = [VERSION, system.kind, system.source_hash, list(extractor.layers), extractor.dim, precision]
        self.root, self.folder = folder, folder / hash_value(identity)
        self.extractor, self.precision = extractor, PRECISIONS[precision]
        self.budget_bytes, self.num_encoded, self.num_not_kept = budget_bytes, 0, 0
        self.used_bytes = sum(_sizes(folder)) if folder.is_dir() else 0
        self._lock = threading.Lock()  # one forward pass at a time

    def path(self, piece: Piece, form: Form) -> Path:
        """The file of a piece: (layers, frames, dim), or (layers, dim) of a mean."""
        return self.folder / form / piece.hash[:2] / f"{piece.hash}.npy"

    def read(self, piece: Piece, form: Form) -> Tensor | None:
        """What is kept, float32; None where nothing is, or it is damaged."""
        features = _load(self.path(piece, form))
        if features is None and form == "mean":
            frames = _load(self.path(piece, "frames"))
            features = None if frames is None else _mean(frames)
        return None if features is None else torch.from_numpy(features.astype(np.float32))

    def is_kept(self, piece: Piece, form: Form) -> bool:
        """Whether nothing has to be encoded for it."""
        return self.path(piece, form).is_file() or (form == "mean" and self.path(piece, "frames").is_file())

    def num_bytes(self, piece: Piece, form: Form) -> int:
        """What it takes on disk."""
        values = self.extractor.num_layers * self.extractor.dim
        if form == "mean":
            return HEADER_BYTES + 4 * values
        frames = self.extractor.geometry.output_lengths(piece.num_samples)
        return HEADER_BYTES + values * frames * np.dtype(self.precision.dtype).itemsize

    def fits(self, piece: Piece, form: Form) -> bool:
        """Whether the budget has room for it."""
        return self.used_bytes + self.num_bytes(piece, form) <= self.budget_bytes

    def get(self, heard: HeardSet, piece: Piece, form: Form) -> Tensor:
        """(layers, frames, dim) float32 on the host, or (layers, dim); encoded where it is not kept."""
        features = self.read(piece, form)
        if features is None:
            with self._lock:
                item = heard.items()[piece.number]
                (features,) = self.encode(heard, [(piece, heard.load_one(item, self.scratch))], form)
        return features

    @property
    def scratch(self) -> Path:
        """For audio that is too long for memory."""
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root

    def encode(self, heard: HeardSet, items: Sequence[tuple[Piece, Tensor]], form: Form) -> list[Tensor]:
        """Encode, keep what fits, and give what `get` would give.

        Raises:
            UserError: audio that is shorter than one frame, or values that float16 cannot hold.
        """
        for piece, wav in items:
            if not self.extractor.geometry.output_lengths(len(wav)):
                needed = self.extractor.geometry.num_samples(1)
                raise UserError(
                    f"{heard.folder}: {piece.utt_id} has {len(wav)} samples, which make no frame; one needs {needed}"
                )
        outputs = self.extractor.extract([self._scaled(wav) for _, wav in items])
        self.num_encoded += len(items)
        return [
            self._kept(heard, piece, output.float().cpu(), form)
            for (piece, _), output in zip(items, outputs, strict=True)
        ]

    def _scaled(self, wav: Tensor) -> Tensor:
        if not self.extractor.normalize:
            return wav
        variance, mean = torch.var_mean(wav, correction=0)
        return (wav - mean) / (variance + VARIANCE_FLOOR) ** 0.5

    def _kept(self, heard: HeardSet, piece: Piece, frames: Tensor, form: Form) -> Tensor:
        """As it is read from disk, rounded, whether it fits there or not."""
        values = frames.numpy().astype(self.precision.dtype)
        if not np.isfinite(values).all():
            raise UserError(
                f"{heard.folder}: features of {piece.utt_id} are beyond {self.precision.name}; run with "
                "--cache_precision float32"
            )
        if form == "mean":  # of rounded frames: a figure must not hang on whether another task has kept the frames
            values = _mean(values)
        num_bytes = HEADER_BYTES + values.nbytes
        if self.used_bytes + num_bytes > self.budget_bytes:
            self.num_not_kept += 1
        else:
            self.used_bytes += num_bytes
            _save(self.path(piece, form), values)
        return torch.from_numpy(values.astype(np.float32))


def _mean(frames: np.ndarray) -> np.ndarray:
    """(layers, frames, dim) -> (layers, dim) float32."""
    mean: np.ndarray = frames.astype(np.float32).mean(1)
    return mean


def _load(path: Path) -> np.ndarray | None:
    try:
        values: np.ndarray = np.load(path, allow_pickle=False)
        return values
    except (OSError, ValueError, EOFError):
        return None


def _save(path: Path, values: np.ndarray) -> None:
    """Whole or not there. Without fsync: a file that a crash cuts short is damaged, seen and made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(beside, "wb") as stream:
        np.save(stream, values)
    os.replace(beside, path)


def _sizes(folder: Path) -> Iterable[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.stat(os.path.join(parent, name)).st_size
            except OSError:  # another job's file on its way
                continue
