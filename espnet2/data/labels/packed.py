"""Packed labels: one integer sequence per utterance, memory-mapped, and the labels of a crop's frames."""

import hashlib
import json
import os
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.card import LabelsJson
from espnet2.data.labels.layout import card_fits, label_dtype
from espnet2.text.token_list import identity_token_list
from espnet2.utils.arrays import map_array
from espnet2.utils.errors import UserError
from espnet2.utils.files import HASH_CHARACTERS, write_json

NO_LABEL = -1  # a frame without a label: padding, or beyond the end of the label sequence
FORMAT_VERSION = 1
BUFFER_LABELS = 1 << 20  # labels checked and written at a time


class PackedLabels:
    """Frame labels of one set: row i belongs to row i of the set's index. Picklable; the arrays stay on disk.

    A frame has one label; or one of each of several codebooks; or a few, with weights that add up to 1 (soft labels).
    """

    def __init__(
        self,
        directory: Path,
        card: LabelsJson,
        flat: np.ndarray,
        offsets: np.ndarray,
        flat_weights: np.ndarray | None = None,
    ) -> None:
        self.directory = directory
        self.card = card
        self.flat = flat  # (all labels,) or (all labels, width) int16 or int32, memory-mapped
        self.offsets = offsets  # (utterances + 1,) int64, memory-mapped
        self.flat_weights = flat_weights  # (all labels, width) float32 of soft labels, memory-mapped

    @classmethod
    def open(cls, directory: str | Path) -> "PackedLabels":
        """Open a folder that `pack_labels` wrote, in constant time.

        Raises:
            UserError: there is none, it is of another format, or a file was cut short.
        """
        directory = Path(directory)
        try:
            card: LabelsJson = json.loads((directory / "labels.json").read_text(encoding="utf-8"))
            if card["format_version"] != FORMAT_VERSION:
                raise UserError(f"{directory}: labels of another format version; run stage 5 again")
            flat, offsets = (map_array(directory / f"{name}.npy") for name in ("labels", "offsets"))
            weights = map_array(directory / "weights.npy") if "weights_hash" in card else None
        except FileNotFoundError as error:
            name = Path(error.filename).name
            raise UserError(f"{directory}: no packed labels ({name} is missing); run stage 5") from None
        except (ValueError, KeyError, TypeError):  # short or foreign contents
            raise UserError(f"{directory}: the packed labels are damaged; delete the folder and run stage 5") from None
        if not card_fits(card, flat, offsets, weights):
            raise UserError(f"{directory}: the packed labels are damaged; delete the folder and run stage 5")
        # Plain views: slices of memory maps are slow.
        return cls(
            directory, card, np.asarray(flat), np.asarray(offsets), None if weights is None else np.asarray(weights)
        )

    def __reduce__(self) -> tuple[Callable[[Path], "PackedLabels"], tuple[Path]]:
        return PackedLabels.open, (self.directory,)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_classes(self) -> int:
        """K: ids are 0..K-1."""
        return self.card["num_classes"]

    @property
    def label_rate(self) -> float:
        """Labels per second."""
        return self.card["label_rate"]

    @property
    def hash(self) -> str:
        """Of the labels, their rate and their token list; of nothing else."""
        return self.card["hash"]

    @property
    def index_hash(self) -> str:
        """Of the index whose rows these labels follow."""
        return self.card["index_hash"]

    @property
    def kmeans_hash(self) -> str | None:
        """Of the clusters that gave the labels; None where they came as a text, which does not say."""
        return self.card["source"].get("kmeans_hash")

    @property
    def token_list_hash(self) -> str:
        """Of the list that gave the ids: see `TokenList.hash`."""
        return self.card["token_list_hash"]

    @property
    def num_codebooks(self) -> int:
        """Labels of a frame that are all to be named; of soft labels 1."""
        return 1 if self.is_soft else self.card.get("width", 1)

    @property
    def is_soft(self) -> bool:
        """Whether a frame has several labels with weights."""
        return self.flat_weights is not None

    def labels(self, row: int) -> np.ndarray:
        """(labels,) or (labels, width) of one utterance, a view of the file; empty if it has none."""
        return self.flat[self.offsets[row] : self.offsets[row + 1]]

    def first_labels(self, row: int) -> np.ndarray:
        """(labels,) of one utterance: of several codebooks those of the first, of soft labels the most probable."""
        labels = self.labels(row)
        return labels if labels.ndim == 1 else labels[:, 0]

    def weights(self, row: int) -> np.ndarray:
        """(labels, width) float32 of soft labels, a view of the file; the largest of each frame first."""
        assert self.flat_weights is not None, self.directory
        return self.flat_weights[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """(utterances,) int64 labels of each; 0 for an utterance without labels. Computed anew at each call."""
        return np.diff(self.offsets)


def frame_labels(
    labels: np.ndarray, *, label_rate: float, geometry: FrameGeometry, start_sample: int, num_frames: int
) -> np.ndarray:
    """Labels of the frames of a crop: frame t takes labels[floor((start_sample / hop + t) * label_rate / frame_rate)].

    HuBERT's alignment (Hsu et al. 2021, fairseq's code): with 100 labels and 50 frames per second, frame t has label
    2t, whose MFCC window covers exactly the samples of the frame. Frames beyond the last label get NO_LABEL.

    Args:
        labels: (labels,) or (labels, width) of the whole utterance; of weights, float32.
        label_rate: labels per second; a whole multiple of the frame rate.
        start_sample: where the crop starts; a multiple of geometry.hop_samples.

    Returns:
        (num_frames,) or (num_frames, width) int64; of weights float32, 0 beyond the last.

    >>> geometry = FrameGeometry(((400, 320),))
    >>> frame_labels(np.arange(98), label_rate=100, geometry=geometry, start_sample=640, num_frames=3)
    array([4, 6, 8])
    """
    stride = round(label_rate / geometry.frame_rate)
    assert stride >= 1 and start_sample % geometry.hop_samples == 0, (label_rate, geometry, start_sample)
    cropped = labels[start_sample // geometry.hop_samples * stride :: stride][:num_frames]
    frames = unlabelled(num_frames, labels)
    frames[: len(cropped)] = cropped
    return frames


def unlabelled(num_frames: int, like: np.ndarray) -> np.ndarray:
    """Frames without a label, or weights of such: (num_frames, ...) with the further axes of `like`."""
    shape = (num_frames, *like.shape[1:])
    return np.zeros(shape, np.float32) if like.dtype.kind == "f" else np.full(shape, NO_LABEL, dtype=np.int64)


def pack_labels(
    rows: Iterable[np.ndarray],
    directory: str | Path,
    *,
    num_classes: int,
    label_rate: float,
    index_hash: str,
    source: Mapping[str, str] | None = None,
    source_hash: str = "",
    token_list_hash: str | None = None,
) -> PackedLabels:
    """Write one label sequence per row of an index; the folder appears whole or not at all, replacing an older one.

    Args:
        rows: (labels,) integers of each utterance, in the order of the index; empty where there are none.
        directory: gets labels.npy (int16 up to 32767 classes, else int32), offsets.npy and labels.json.
        label_rate: labels per second.
        source: what the labels were made from, for the reader of labels.json.
        token_list_hash: of the list that gave the ids; None: ids are cluster numbers.

    Raises:
        UserError: a label outside 0..num_classes-1.
    """
    dtype = label_dtype(num_classes)
    with replace_directory(Path(directory)) as partial:
        digest = hashlib.sha256()
        offsets = array("q", [0])
        with open(partial / "labels.npy", "wb") as stream:
            write_array_header(stream, dtype, (0,))
            for block in _blocks(rows, offsets):
                if len(block) and not 0 <= block.min() <= block.max() < num_classes:
                    raise UserError(
                        f"{directory}: labels from {block.min()} to {block.max()}; expected 0..{num_classes - 1}"
                    )
                data = block.astype(dtype).tobytes()
                digest.update(data)
                stream.write(data)
            stream.seek(0)
            write_array_header(stream, dtype, (offsets[-1],))
        np.save(partial / "offsets.npy", np.frombuffer(offsets, dtype=np.int64))
        token_list_hash = token_list_hash or identity_token_list(num_classes).hash
        digest.update(f"{len(offsets)} {num_classes} {label_rate} {token_list_hash}".encode())
        digest.update(np.frombuffer(offsets, dtype=np.int64).data)
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
            "hash": digest.hexdigest()[:HASH_CHARACTERS],
        }
        write_json(partial / "labels.json", card)
    return PackedLabels.open(directory)


def _blocks(rows: Iterable[np.ndarray], offsets: "array[int]") -> Iterable[np.ndarray]:
    """Join rows into larger arrays; appends the end of each row to `offsets`."""
    block: list[np.ndarray] = []
    written = 0
    for row in rows:
        offsets.append(offsets[-1] + len(row))
        block.append(np.asarray(row))
        if offsets[-1] - written >= BUFFER_LABELS:
            yield np.concatenate(block)
            block, written = [], offsets[-1]
    if block:
        yield np.concatenate(block)


def write_array_header(stream: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """NumPy pads the header of an array so that it keeps its size while the first axis grows."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


@contextmanager
def replace_directory(directory: Path) -> Iterator[Path]:
    """A new folder beside `directory`, renamed to it when the block ends without an error."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.partial.", dir=directory.parent))
    try:
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o777 & ~umask)  # mkdtemp makes private folders; a cluster's other users read ours
        yield partial
        if directory.exists():
            old = partial.with_name(f"{partial.name}.old")
            directory.rename(old)
            partial.rename(directory)
            shutil.rmtree(old)
        else:
            partial.rename(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
