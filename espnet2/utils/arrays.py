"""A .npy file in, its array as mapped pages out, or one kind of error."""

import tokenize
from pathlib import Path

import numpy as np


def map_array(path: Path) -> np.ndarray:
    """The array of a .npy file, read-only and memory-mapped.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is cut short, or no .npy file; NumPy itself has several errors for a damaged header.
    """
    try:
        return np.load(path, mmap_mode="r")
    except (EOFError, SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"{path.name}: no array ({error})") from None
