"""A file made of ranges of an open file, and of bytes that stand in for others."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Range(NamedTuple):
    """Bytes `start`..`stop` of a file."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


Part = bytes | Range


class View(io.RawIOBase):
    """Ranges of `stream` and bytes, one after the other, seen as a file of their own. The stream stays open."""

    def __init__(self, stream: io.BufferedIOBase, parts: Sequence[Part]) -> None:
        super().__init__()
        self.stream, self.parts = stream, [part for part in parts if len(part)]
        self.ends = list(accumulate(len(part) for part in self.parts))
        self.size = self.ends[-1] if self.ends else 0
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: "Buffer") -> int:
        target, done = memoryview(buffer).cast("B"), 0
        while done < len(target) and self.position < self.size:
            number = bisect_right(self.ends, self.position)
            part = self.parts[number]
            offset = self.position - (self.ends[number] - len(part))
            count = min(len(target) - done, len(part) - offset)
            if isinstance(part, Range):
                self.stream.seek(part.start + offset)
                count = self.stream.readinto(target[done : done + count])
                if not count:  # the file became shorter
                    break
            else:
                target[done : done + count] = part[offset : offset + count]
            done += count
            self.position += count
        return done


def patched(whole: Range, patches: dict[int, bytes]) -> tuple[Part, ...]:
    """A range of a file with other bytes at some of its places, which do not overlap.

    >>> patched(Range(0, 10), {4: b"ab"})
    (Range(start=0, stop=4), b'ab', Range(start=6, stop=10))
    """
    parts: list[Part] = []
    position = whole.start
    for offset in sorted(patches):
        parts += [Range(position, offset), patches[offset]]
        position = offset + len(patches[offset])
    return (*parts, Range(position, whole.stop))
