"""The way to read, compare and sort on the disk what is too large for the memory, line by line."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap, zip_longest
from operator import eq
from typing import NamedTuple

Keys = Callable[[], Iterator[bytes]]  # may be asked for again and again
SORT_BUFFER = "64M"  # of the program sort; the rest goes to TMPDIR
SHOWN = 3  # differences that are named


class Differences(NamedTuple):
    """How two ascending sequences of different keys differ."""

    missing: list[bytes]  # the first SHOWN that only the second has
    num_missing: int
    extra: list[tuple[int, bytes]]  # the first SHOWN that only the first has, with their places from 1
    num_extra: int
    num_have: int
    num_want: int


def lines(path: str) -> Iterator[bytes]:
    """The lines of a file."""
    with open(path, "rb") as stream:
        yield from stream


def keys(path: str) -> Iterator[bytes]:
    """The first field of each line."""
    return (line.split(None, 1)[0] for line in lines(path))


def compare(have: Keys, want: Keys) -> Differences | None:
    """None where both are the same; both ascend, and no key comes twice."""
    if all(starmap(eq, zip_longest(have(), want()))):
        return None
    missing: list[bytes] = []
    extra: list[tuple[int, bytes]] = []
    num_missing = num_extra = num_have = num_want = 0
    left, right = have(), want()
    mine, other = next(left, None), next(right, None)
    while mine is not None or other is not None:
        takes_mine = other is None or (mine is not None and mine <= other)
        takes_other = mine is None or (other is not None and other <= mine)
        num_have += takes_mine
        num_want += takes_other
        if takes_mine and not takes_other:
            num_extra += 1
            if num_extra <= SHOWN:
                extra.append((num_have, mine))
        if takes_other and not takes_mine:
            num_missing += 1
            if num_missing <= SHOWN:
                missing.append(other)
        if takes_mine:
            mine = next(left, None)
        if takes_other:
            other = next(right, None)
    return Differences(missing, num_missing, extra, num_extra, num_have, num_want)


def first_unknown(have: Iterable[bytes], known: Iterable[bytes]) -> tuple[int, bytes] | None:
    """The place (from 1) and the key of the first that is not known; both ascend, keys of `have` may come again."""
    right = iter(known)
    other = next(right, None)
    for number, mine in enumerate(have, 1):
        while other is not None and other < mine:
            other = next(right, None)
        if mine != other:
            return number, mine
    return None


class Sorter:
    """A folder for sorted files, removed at the end."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="datadir.")
        self.number = 0

    def sort(self, unsorted: Iterable[bytes], *options: str) -> str:
        """Write lines and sort them in C order by the program sort; returns the file."""
        self.number += 1
        path = os.path.join(self.folder.name, str(self.number))
        with open(path, "wb") as stream:
            stream.writelines(unsorted)
        command = ["sort", "-S", SORT_BUFFER, "-T", self.folder.name, *options, "-o", path, path]
        subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})
        return path
