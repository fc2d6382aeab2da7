"""Tables and label files of a data directory -> dictionaries by key, under ESPnet's names."""

from collections.abc import Collection
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table


def read_2columns_text(path: str | Path, keys_to_load: Collection[str] | None = None) -> dict[str, str]:
    """`<key> <value>` lines -> value by key; the value is the rest of the line.

    Args:
        keys_to_load: leave out all other keys.

    Raises:
        UserError: an empty line, or a key that comes twice.
    """
    return {key: rest for key, rest in read_table(path).items() if keys_to_load is None or key in keys_to_load}


def read_multi_columns_text(
    path: str | Path, return_unsplit: bool = False
) -> tuple[dict[str, list[str]], dict[str, str] | None]:
    """`<key> <value> <value> ...` lines -> values by key; with return_unsplit the rest of the line too.

    Raises:
        UserError: an empty line, or a key that comes twice.
    """
    rows = read_table(path)
    return {key: rest.split() or [""] for key, rest in rows.items()}, rows if return_unsplit else None


def load_num_sequence_text(path: str | Path, loader_type: str = "csv_int") -> dict[str, list[float | int]]:
    """`<key> 1,2,3` lines (csv_int, csv_float) or `<key> 1 2 3` (text_int, text_float) -> numbers by key.

    Raises:
        ValueError: an unknown loader_type.
        UserError: a value that is no number.
    """
    form, _, number = loader_type.partition("_")
    if form not in ("csv", "text") or number not in ("int", "float"):
        raise ValueError(f"loader_type {loader_type}: expected csv_int, csv_float, text_int or text_float")
    convert = int if number == "int" else float
    loaded: dict[str, list[float | int]] = {}
    for key, rest in read_table(path).items():
        try:
            loaded[key] = [convert(word) for word in (rest.split(",") if form == "csv" else rest.split())]
        except ValueError:
            raise UserError(f"{path}: {key}: expected numbers ({loader_type}), got '{rest}'") from None
    return loaded


def read_label(path: str | Path) -> dict[str, list[list[str]]]:
    """`<key> <begin s> <end s> <phone> <begin s> <end s> <phone> ...` lines -> [begin, end, phone] lists by key.

    Raises:
        UserError: an empty line, a key that comes twice, or a number of words that is no multiple of three.
    """
    labels: dict[str, list[list[str]]] = {}
    for key, rest in read_table(path).items():
        words = rest.split()
        if len(words) % 3:
            raise UserError(f"{path}: {key}: expected <begin> <end> <phone> again and again, got {len(words)} words")
        labels[key] = [words[start : start + 3] for start in range(0, len(words), 3)]
    return labels
