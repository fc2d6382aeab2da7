"""An entry in, its bytes out: the one door to files, arks, tars, Parquet files and stores."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from espnet2.data.audio.entry import ArkOffset, ByteRange, Entry, ParquetRow, is_in_store
from espnet2.data.audio.link import Bytes, FileBytes, StreamBytes
from espnet2.data.audio.links import entry_range
from espnet2.data.audio.parquet import cell_bytes
from espnet2.data.audio.store import open_object, prefetch
from espnet2.data.audio.views import Range


@dataclass(frozen=True)
class OpenedEntry:
    """An audio file in an open stream. It may lie in a larger one."""

    stream: io.BufferedIOBase
    data: Bytes  # of the stream
    range: Range  # of the audio file in it
    path: str | None  # where all of the stream is the audio, and lies on this machine


@contextmanager
def open_entry(entry: Entry) -> Iterator[OpenedEntry]:
    """Open the bytes that an entry names; which of their samples it names is left to the reader.

    Raises:
        FileNotFoundError, OSError, ValueError: they are not there, or are fewer than the entry says.
        UserError: a store cannot be reached, or a package is not installed.
    """
    if isinstance(entry.part, ParquetRow):
        content = cell_bytes(entry.file, entry.part)
        memory = io.BytesIO(content)
        yield OpenedEntry(memory, StreamBytes(memory, len(content)), Range(0, len(content)), None)
        return
    with open_file(entry.file) as stream:
        data = FileBytes(stream.fileno()) if not is_in_store(entry.file) else StreamBytes(stream, _size(stream))
        if isinstance(entry.part, ByteRange):
            stop = entry.part.start + entry.part.size
            if stop > len(data):
                raise ValueError(f"{entry.file} ends at byte {len(data)}, {stop - len(data)} bytes too early")
            prefetch(entry.file, entry.part.start, stop)
            yield OpenedEntry(stream, data, Range(entry.part.start, stop), None)
        elif isinstance(entry.part, ArkOffset):
            yield OpenedEntry(stream, data, entry_range(data, entry.part.offset), None)
        else:
            prefetch(entry.file, 0, len(data))
            local = None if is_in_store(entry.file) else entry.file
            yield OpenedEntry(stream, data, Range(0, len(data)), local)


def open_file(file: str) -> io.BufferedIOBase:
    """A file or an object of a store, as a stream that seeks.

    Raises:
        OSError: it is not there.
        UserError: its store cannot be reached.
    """
    return open_object(file) if is_in_store(file) else open(file, "rb")


def _size(stream: io.BufferedIOBase) -> int:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size
