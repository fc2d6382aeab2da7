"""The layout of packed labels: the type and shapes of the arrays beside labels.json."""

import numpy as np

from espnet2.data.labels.card import LabelsJson


def label_dtype(num_classes: int) -> np.dtype:
    """The integer type that labels of so many classes are stored as, little-endian."""
    return np.dtype("<i2" if num_classes <= np.iinfo(np.int16).max else "<i4")


def card_fits(card: LabelsJson, flat: np.ndarray, offsets: np.ndarray, weights: np.ndarray | None) -> bool:
    """Whether the card names all it should, and the arrays have the shapes and types it says."""
    kinds = {"num_utterances": int, "num_classes": int, "label_rate": float, "source": dict, "source_hash": str}
    kinds |= {"hash": str, "index_hash": str, "token_list_hash": str}
    if not all(isinstance(card.get(name), kind) for name, kind in kinds.items()):
        return False
    width = card.get("width")
    if width is not None and (not isinstance(width, int) or width < 1):
        return False
    shape = (len(flat),) if width is None else (len(flat), width)
    shaped = flat.shape == shape and offsets.shape == (card["num_utterances"] + 1,) and offsets.dtype == np.int64
    if weights is not None and (width is None or weights.shape != shape or weights.dtype != np.float32):
        return False
    return bool(shaped and flat.dtype == label_dtype(card["num_classes"]) and offsets[-1] == len(flat))


def described_kind(width: int, weights_hash: str) -> str:
    """What the hash of labels with several values a frame covers besides: what the bytes alone do not tell."""
    return f" width {width} weights {weights_hash}"
