"""A tiny corpus in, a second label set of it (8 classes, 100 a second) and the words that name both out."""

from pathlib import Path

import numpy as np

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import pack_labels
from espnet2.pretrain.inputs import DataPaths

FINE_CLASSES, FINE_RATE = 8, 100
TWO_SETS = [
    {"name": "hubert", "labels": "coarse", "conf": {"mask_span": 4, "label_dim": 8}},
    {"name": "hubert", "labels": "fine", "weight": 0.5, "conf": {"mask_span": 4, "label_dim": 8}},
]


def write_fine_labels(
    root: Path,
    name: str,
    *,
    folder: str = "fine",
    missing: str | None = None,
    index_hash: str | None = None,
    rate: int = FINE_RATE,
    shift: int = 0,
) -> None:
    """<folder>/<set>: label t of utterance r is (r + t + shift) modulo 8; none of the utterance `missing`."""
    index = AudioIndex.open(root / "dump" / name)
    counts = [(int(length) - 400) // (16000 // rate) + 1 for length in index.num_samples]
    rows = [
        (row + shift + np.arange(0 if index.utt_id(row) == missing else count)) % FINE_CLASSES
        for row, count in enumerate(counts)
    ]
    output = root / folder / name
    pack_labels(rows, output, num_classes=FINE_CLASSES, label_rate=rate, index_hash=index_hash or index.hash)


def add_fine_labels(root: Path, *, folder: str = "fine", shift: int = 0) -> None:
    """Of both sets of `make_corpus`."""
    for name in ("train", "valid"):
        write_fine_labels(root, name, folder=folder, shift=shift)


def named_labels(root: Path, paths: DataPaths, *, fine: str = "fine", fine_valid: str | None = None) -> DataPaths:
    """The corpus with the label sets coarse (labels/) and fine."""
    folders = {"train": fine, "valid": fine_valid or fine}
    words = [[f"coarse={root}/labels/{name}", f"fine={root}/{folder}/{name}"] for name, folder in folders.items()]
    return DataPaths(paths.train_sets, paths.valid_sets, *words)
