"""Keys and values in, the files of a data directory out: ESPnet's DatadirWriter."""

import warnings
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TextIO


class DatadirWriter:
    """A folder or, as soon as a value is set, a table in it.

    with DatadirWriter("data/train") as writer:
        writer["wav.scp"]["utterance"] = "some/where/a.wav"    # a line of data/train/wav.scp
    """

    def __init__(self, p: str | Path):
        self.path = Path(p)
        self.children: dict[str, DatadirWriter] = {}
        self.stream: TextIO | None = None
        self.keys: set[str] = set()

    def __enter__(self) -> "DatadirWriter":
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __getitem__(self, key: str) -> "DatadirWriter":
        """The folder or table of that name."""
        if self.stream is not None:
            raise RuntimeError(f"{self.path} is a table: it has no part '{key}'")
        return self.children.setdefault(key, DatadirWriter(self.path / key))

    def __setitem__(self, key: str, value: str) -> None:
        """Write a line. A key that comes again is written again, with a warning."""
        if self.children:
            raise RuntimeError(f"{self.path} is a folder: no value can be written into it")
        if key in self.keys:
            warnings.warn(f"{self.path}: {key} comes twice", stacklevel=2)
        if self.stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.stream = self.path.open("w", encoding="utf-8")
        self.keys.add(key)
        self.stream.write(f"{key} {value}\n")

    def close(self) -> None:
        """Close all tables; warn where two of a folder have different keys."""
        if self.stream is not None:
            self.stream.close()
        tables = list(self.children.values())
        for table in tables:
            table.close()
        for first, second in pairwise(tables):
            if first.keys != second.keys:
                warnings.warn(f"{first.path} and {second.path} have different keys", stacklevel=2)
