"""Labels of several values a frame, written: codebooks that are all to be named, or the likely classes with weights."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from espnet2.data.labels.card import LabelsJson
from espnet2.data.labels.layout import described_kind, label_dtype
from espnet2.data.labels.packed import FORMAT_VERSION, PackedLabels, replace_directory, write_array_header
from espnet2.text.token_list import identity_token_list
from espnet2.utils.errors import UserError
from espnet2.utils.files import HASH_CHARACTERS, write_json

SUM_TOLERANCE = 1e-3  # weights of a frame add up to 1 but for the rounding of their float32 or float16 origin


class VectorRow(NamedTuple):
    """One utterance."""

    labels: np.ndarray  # (labels, width) integers
    weights: np.ndarray | None = None  # (labels, width) of soft labels: they add up to 1, the largest first


class _Column(AbstractContextManager["_Column"]):
    """A two-dimensional array on disk that grows, and the digest of its bytes."""

    def __init__(self, path: Path, dtype: np.dtype, width: int) -> None:
        self.dtype, self.width, self.count = dtype, width, 0
        self.digest = hashlib.sha256()
        self.stream = open(path, "wb")  # noqa: SIM115 - closed by __exit__
        write_array_header(self.stream, dtype, (0, width))

    def add(self, rows: np.ndarray) -> None:
        """(rows, width)"""
        data = np.ascontiguousarray(rows, dtype=self.dtype).tobytes()
        self.digest.update(data)
        self.stream.write(data)
        self.count += len(rows)

    def __exit__(self, *error: object) -> None:
        self.stream.seek(0)
        write_array_header(self.stream, self.dtype, (self.count, self.width))
        self.stream.close()


def pack_vector_labels(
    rows: Iterable[VectorRow],
    directory: str | Path,
    *,
    num_classes: int,
    width: int,
    is_soft: bool,
    label_rate: float,
    index_hash: str,
    source: Mapping[str, str] | None = None,
    source_hash: str = "",
) -> PackedLabels:
    """Write the labels of each row of an index, as `pack_labels` does.

    Args:
        rows: in the order of the index; with no frames where an utterance has no labels.
        directory: gets labels.npy, (labels, width); weights.npy, float32, of soft labels; offsets.npy and labels.json.
        num_classes: of each codebook, or of the distribution.
        width: codebooks, or classes that are kept of the distribution.

    Raises:
        UserError: a label outside 0..num_classes-1; weights that are no distribution, or not the largest first.
    """
    with replace_directory(Path(directory)) as partial, ExitStack() as stack:
        labels = stack.enter_context(_Column(partial / "labels.npy", label_dtype(num_classes), width))
        weights = stack.enter_context(_Column(partial / "weights.npy", np.dtype("<f4"), width)) if is_soft else None
        offsets = array("q", [0])
        for row in rows:
            _check_row(row, directory, num_classes=num_classes, width=width, is_soft=is_soft)
            offsets.append(offsets[-1] + len(row.labels))
            labels.add(row.labels)
            if weights is not None and row.weights is not None:
                weights.add(row.weights)
        stack.close()  # the files are whole from here on
        positions = np.frombuffer(offsets, dtype=np.int64)
        np.save(partial / "offsets.npy", positions)
        token_list_hash = identity_token_list(num_classes).hash
        weights_hash = weights.digest.hexdigest()[:HASH_CHARACTERS] if weights is not None else ""
        about = f"{len(offsets)} {num_classes} {label_rate} {token_list_hash}{described_kind(width, weights_hash)}"
        labels.digest.update(about.encode())
        labels.digest.update(positions.data)
        card: LabelsJson = {
            "format_version": FORMAT_VERSION,
            "num_classes": num_classes,
            "label_rate": float(label_rate),
            "num_utterances": len(offsets) - 1,
            "num_labels": offsets[-1],
            "index_hash": index_hash,
            "token_list_hash": token_list_hash,
            "source": dict(source or {}),
            "source_hash": source_hash,
            "hash": labels.digest.hexdigest()[:HASH_CHARACTERS],
            "width": width,
        }
        if is_soft:
            card["weights_hash"] = weights_hash
        write_json(partial / "labels.json", card)
    return PackedLabels.open(directory)


def _check_row(row: VectorRow, directory: str | Path, *, num_classes: int, width: int, is_soft: bool) -> None:
    labels, weights = row
    assert labels.shape[1:] == (width,) and (weights is not None) == is_soft, (labels.shape, width, is_soft)
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise UserError(f"{directory}: labels from {labels.min()} to {labels.max()}; expected 0..{num_classes - 1}")
    if weights is None or len(weights) == 0:
        return
    assert weights.shape == labels.shape, (weights.shape, labels.shape)
    sums = weights.astype(np.float64).sum(1)
    if not (weights >= 0).all() or not np.abs(sums - 1).max() <= SUM_TOLERANCE:
        raise UserError(
            f"{directory}: weights of a frame from {weights.min():g}, with sums from {sums.min():g} to {sums.max():g}; "
            "expected none below 0 and sums of 1"
        )
    if (weights.argmax(1) != 0).any():
        raise UserError(f"{directory}: a frame does not have its largest weight first, which names its label")


def join_codebooks(sets: Sequence[PackedLabels], directory: str | Path) -> PackedLabels:
    """Label sets of one index, packed as the codebooks of one: frame t has the t-th label of each.

    Raises:
        UserError: fewer than two, labels of several values a frame, another index, rate, number of classes or length.
    """
    first = sets[0]
    if len(sets) < 2:
        raise UserError(f"{first.directory}: one label set makes no codebooks to join; name two or more")
    for other in sets:
        for name in ("index_hash", "label_rate", "num_classes"):
            ours, theirs = getattr(first, name), getattr(other, name)
            if ours != theirs:
                raise UserError(
                    f"{other.directory}: {name} {theirs}, but {first.directory} has {ours}; codebooks are joined of "
                    "labels of the same set, rate and size: train on others as several label sets by name"
                )
        if other.flat.ndim != 1:
            raise UserError(f"{other.directory}: has several labels a frame already; name sets of one label a frame")
        different = np.flatnonzero(other.lengths != first.lengths)
        if len(different):
            row = int(different[0])
            raise UserError(
                f"{other.directory}: utterance {row} (counted from 0) has {len(other.labels(row))} labels, in "
                f"{first.directory} {len(first.labels(row))}; make both from the same audio"
            )

    def rows() -> Iterator[VectorRow]:
        for row in range(len(first)):
            yield VectorRow(np.stack([part.labels(row) for part in sets], axis=1))

    return pack_vector_labels(
        rows(),
        directory,
        num_classes=first.num_classes,
        width=len(sets),
        is_soft=False,
        label_rate=first.label_rate,
        index_hash=first.index_hash,
        source={f"codebook_{number}": str(part.directory) for number, part in enumerate(sets, 1)},
        source_hash=" ".join(part.hash for part in sets),
    )
