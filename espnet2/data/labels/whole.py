"""The guard that packed labels are, bit for bit, those that their card names."""

import hashlib

import numpy as np

from espnet2.data.labels.layout import described_kind
from espnet2.data.labels.packed import PackedLabels
from espnet2.utils.errors import UserError
from espnet2.utils.files import HASH_CHARACTERS

BLOCK_LABELS = 1 << 22  # read at a time


def is_whole(labels: PackedLabels) -> bool:
    """Whether the hash of the labels is the one in labels.json; reads all of them (about 1 GB a second)."""
    digest = hashlib.sha256()
    for start in range(0, len(labels.flat), BLOCK_LABELS):
        digest.update(np.ascontiguousarray(labels.flat[start : start + BLOCK_LABELS]).data)
    kind = _described_kind(labels)
    if kind is None:
        return False
    rates = {str(labels.label_rate), f"{labels.label_rate:g}"}  # as a float and as the integer that callers may give
    for rate in rates:
        whole = digest.copy()
        about = f"{len(labels.offsets)} {labels.num_classes} {rate} {labels.token_list_hash}{kind}"
        whole.update(about.encode())
        whole.update(np.ascontiguousarray(labels.offsets).data)
        if whole.hexdigest()[:HASH_CHARACTERS] == labels.hash:
            return True
    return False


def _described_kind(labels: PackedLabels) -> str | None:
    """What the hash says of labels with several values a frame; None where the weights are not those of the card."""
    if "width" not in labels.card:
        return ""
    if labels.flat_weights is None:
        return described_kind(labels.card["width"], "")
    digest = hashlib.sha256()
    for start in range(0, len(labels.flat_weights), BLOCK_LABELS):
        digest.update(np.ascontiguousarray(labels.flat_weights[start : start + BLOCK_LABELS]).data)
    weights_hash = digest.hexdigest()[:HASH_CHARACTERS]
    return described_kind(labels.card["width"], weights_hash) if weights_hash == labels.card["weights_hash"] else None


def require_whole(labels: PackedLabels) -> None:
    """Raises UserError where the labels are not those of their card."""
    if not is_whole(labels):
        raise UserError(
            f"{labels.directory}: the packed labels are not those that labels.json names (hash {labels.hash}); "
            "delete the folder and run stage 5"
        )
