"""The type `Link`: a stretch of a file with one recording, what is stated of it, what is there."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from espnet2.data.audio.views import Part, Range

SEARCHED_BYTES = 1 << 20  # at once


class Bytes(Protocol):
    """What is asked of a file's contents."""

    def __getitem__(self, key: slice) -> bytes: ...

    def __len__(self) -> int: ...

    def find(self, sub: bytes, start: int = ..., end: int = ...) -> int: ...


class FileBytes:
    """The contents of an open file, read where they are looked at; a map of it would kill where the file shrinks."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.size = descriptor, os.fstat(descriptor).st_size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: slice) -> bytes:
        stop = min(self.size, key.stop)
        return os.pread(self.descriptor, max(0, stop - key.start), key.start) if stop > key.start else b""

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:
        stop = self.size if end is None else min(end, self.size)
        while start + len(sub) <= stop:
            block = self[start : min(stop, start + SEARCHED_BYTES)]
            at = block.find(sub)
            if at >= 0 or len(block) < len(sub):
                return start + at if at >= 0 else -1
            start += len(block) - len(sub) + 1
        return -1


class StreamBytes(FileBytes):
    """The same of a stream that is no file of this machine."""

    def __init__(self, stream: io.BufferedIOBase, size: int) -> None:
        self.stream, self.size = stream, size

    def __getitem__(self, key: slice) -> bytes:
        stop = min(self.size, key.stop)
        if stop <= key.start:
            return b""
        self.stream.seek(key.start)
        return self.stream.read(stop - key.start)


@dataclass(frozen=True)
class Link:
    """A stretch of a file that holds one recording. `cat a.ogg b.ogg` has two: decoders stop after the first."""

    parts: Sequence[Part]  # what a decoder has to see
    stated: int | None = None  # length by the header, bytes or samples; None: it does not say
    held: int = 0  # what is there, in the same unit
    cut: str = ""  # how it ends in the middle of something, where no header says how much is missing


def plain(whole: Range) -> tuple[Link, ...]:
    """One link that a decoder reads as it stands."""
    return (Link((whole,)),)
