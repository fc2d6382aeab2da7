"""The labels of several sets as one: those that come from different clusters or rates are not joined."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from espnet2.data.labels.packed import PackedLabels
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes


class JoinedLabels:
    """The labels of several sets, in the order in which `open_indexes` joins their rows."""

    def __init__(self, parts: Sequence[PackedLabels]) -> None:
        self.parts = tuple(parts)
        self._first_rows: list[int] = np.cumsum([0, *(len(part) for part in self.parts)]).tolist()
        first = self.parts[0]
        self.num_classes = first.num_classes
        self.label_rate = first.label_rate
        self.num_codebooks, self.is_soft = first.num_codebooks, first.is_soft
        self.hash = hash_bytes(*(part.hash for part in self.parts)) if len(self.parts) > 1 else first.hash

    @classmethod
    def open(cls, directories: Sequence[str | Path]) -> "JoinedLabels":
        """Open and join.

        Raises:
            UserError: as `PackedLabels.open`, none given, or they differ in classes, token list or rate.
        """
        if not directories:
            raise UserError("no label folders given; expected one for each set, in the order of the sets")
        parts = [PackedLabels.open(directory) for directory in directories]
        for part in parts[1:]:
            check_same_labels(parts[0], part)
        return cls(parts)

    def __len__(self) -> int:
        return self._first_rows[-1]

    def labels(self, row: int) -> np.ndarray:
        """(labels,) or (labels, width) of one utterance of the joined index."""
        part, row = self._locate(row)
        return part.labels(row)

    def weights(self, row: int) -> np.ndarray:
        """(labels, width) float32 of one utterance, as `PackedLabels.weights`."""
        part, row = self._locate(row)
        return part.weights(row)

    def _locate(self, row: int) -> tuple[PackedLabels, int]:
        part = bisect_right(self._first_rows, row) - 1
        return self.parts[part], row - self._first_rows[part]

    @property
    def lengths(self) -> np.ndarray:
        """(utterances,) int64, as `PackedLabels.lengths`."""
        return np.concatenate([part.lengths for part in self.parts])


def check_same_labels(first: PackedLabels, second: PackedLabels) -> None:
    """Refuse to mix labels of different clusters or rates, such as a train and a valid set of two k-means.

    Raises:
        UserError: naming what differs.
    """
    names = {
        "num_classes": "classes",
        "label_rate": "labels per second",
        "num_codebooks": "codebooks",
        "is_soft": "as the answer to whether its labels are soft",
        "token_list_hash": "as the hash of its token list",
    }
    if first.kmeans_hash and second.kmeans_hash:
        names["kmeans_hash"] = "as the hash of its clusters"
    for name, words in names.items():
        ours, theirs = getattr(first, name), getattr(second, name)
        if ours != theirs:
            raise UserError(
                f"{second.directory} has {theirs} {words}, but {first.directory} has {ours}; "
                "label every set, valid and test too, with the clusters learned on the train set"
            )
