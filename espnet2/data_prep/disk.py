"""Tables larger than memory in, sorted and joined tables out: the sorting is done by `sort`, on the disk."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from espnet2.utils.errors import UserError

SORT_MEMORY = "256M"  # what `sort` may hold before it writes to the disk


def sort_file(path: Path, *, unique: bool = False) -> None:
    """Sort the lines of a file by their bytes, in place, on the disk where it does not fit into memory."""
    options = ["-S", SORT_MEMORY, "-T", str(path.parent), "-o", str(path), *(["-u"] if unique else [])]
    environment = {**os.environ, "LC_ALL": "C"}
    result = subprocess.run(["sort", *options, str(path)], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise UserError(f"{path}: sort failed: {result.stderr.strip()}; is the disk full?")


def join_on_disk(
    folder: str | Path, left: Iterable[tuple[str, str]], right: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (key, left value, right value) for all keys of two tables, in byte order; None: not in that table.

    Such as audio files and transcripts of millions of utterances: they are sorted in a file of `folder`.

    Raises:
        UserError: a key appears twice on one side.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".join.", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            for side, pairs in (("1", left), ("2", right)):
                stream.writelines(f"{key}\t{side}{value}\n" for key, value in pairs)
        sort_file(Path(name))
        for key, rows in groupby(_pairs(Path(name)), key=lambda row: row[0]):
            values = [value for _, value in rows]
            by_side = {value[0]: value[1:] for value in values}
            if len(by_side) != len(values):
                raise UserError(f"{key} appears twice: {', '.join(value[1:] for value in values)}")
            yield key, by_side.get("1"), by_side.get("2")
    finally:
        os.unlink(name)


def _pairs(path: Path) -> Iterator[list[str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        for line in stream:
            yield line[:-1].split("\t", 1)
