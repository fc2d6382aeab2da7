"""The k-means of each layer of a system, learned once and kept under eval/.units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet2.evaluate.part import EvaluationRequest, scratch_folder
from espnet2.evaluate.systems import System
from espnet2.units.aligned import AlignedSet
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.utils.files import atomic_write, hash_bytes, hash_value

RULES = 1  # of the learning; a new number makes all that was kept stale
TOLERANCE = 1e-4  # of k-means: ten times finer than for labels, to keep the spread over seeds small


@dataclass(frozen=True)
class LearnedUnits:
    """The k-means of every layer of one system, one for each seed of the request."""

    request: EvaluationRequest
    key: str  # everything the centroids depend on but layer and seed
    directory: Path | None  # None: nothing is kept

    @classmethod
    def of(cls, system: System, train: AlignedSet, request: EvaluationRequest, *, keep: bool = True) -> "LearnedUnits":
        """
        Args:
            train: the frames that are learned from.
        """
        frames = hash_bytes(train.index.hash, train.rows.tobytes(), train.frame_counts.tobytes())
        source = [system.kind, system.source_hash]
        key = hash_value([RULES, TOLERANCE, source, frames, request.num_clusters, request.frame_rate])
        return cls(request, key, scratch_folder(request.exp, "units") if keep else None)

    def files(self, layers: Sequence[int]) -> list[Path]:
        """Where the centroids of these layers are kept, seed by seed."""
        if self.directory is None:
            return []
        return [self.directory / f"{self.key}.{layer}.{seed}.npy" for layer in layers for seed in self.request.seeds]

    def has(self, layer: int) -> bool:
        """Whether the units of a layer are known already."""
        files = self.files([layer])
        return bool(files) and all(self._read(file) is not None for file in files)

    def centroids(self, layer: int, frames: Tensor | None) -> list[Tensor]:
        """(K, dim) float32 for each seed: those that are kept, or learned now.

        Args:
            frames: (frames, dim) of the train set; None where `has` is true.
        """
        centroids = []
        files: list[Path | None] = [*self.files([layer])] or [None] * len(self.request.seeds)
        for seed, file in zip(self.request.seeds, files, strict=True):
            known = self._read(file) if file else None
            if known is None:
                request = self.request
                assert frames is not None, "`has` says that they are kept"
                known = fit_kmeans(
                    frames, request.num_clusters, seed=seed, tolerance=TOLERANCE, device=request.device
                ).centroids
                if file:
                    with atomic_write(file, "wb") as stream:
                        np.save(stream, known.numpy(), allow_pickle=False)
            centroids.append(known)
        return centroids

    def _read(self, file: Path) -> Tensor | None:
        try:
            centroids = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there, or cut short: as good as none
            return None
        return (
            torch.from_numpy(centroids) if centroids.ndim == 2 and len(centroids) == self.request.num_clusters else None
        )


def units_of(frames: Tensor, centroids: Iterable[Tensor], device: str) -> list[np.ndarray]:
    """(frames, dim) -> (frames,) ids for each k-means."""
    return [assign(frames.to(device), kmeans.to(device)).cpu().numpy() for kmeans in centroids]


def forget_others(exp: Path, used: Iterable[Path]) -> None:
    """Remove what was learned with other settings, or of other weights."""
    for file in set(scratch_folder(exp, "units").glob("*.npy")) - set(used):
        file.unlink(missing_ok=True)
