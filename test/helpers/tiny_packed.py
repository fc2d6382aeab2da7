"""A tiny experiment in, a finished k-means of one of its layers out."""

from pathlib import Path

import torch

from espnet2.models.find import find_model
from espnet2.units.card import KMeansCard, save_kmeans


def write_kmeans(
    folder: Path, model: Path, *, layer: int = 2, teacher_hash: str | None = None, num_clusters: int = 4
) -> Path:
    """A finished k-means on a layer of a tiny model."""
    fields = {
        "feature": "espnet_hubert", "layer": layer, "model": str(model), "convention": "layer output after residual",
        "num_clusters": num_clusters, "dim": 16, "label_rate": 50.0, "sample_rate": 16000, "seed": 0, "portion": 1.0,
        "max_frames": 100, "index_hash": "0", "train_sets": ("train",), "num_frames": 100, "inertia": 1.0,
        "num_passes": 1, "teacher_hash": teacher_hash or find_model(model).hash,
    }  # fmt: skip
    centroids = torch.randn(num_clusters, 16, generator=torch.Generator().manual_seed(1))
    save_kmeans(folder, centroids, KMeansCard(**fields))
    return folder
