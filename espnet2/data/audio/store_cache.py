"""Blocks of objects in stores, kept on the local disk up to a limit; those unused longest go first.

All processes of a machine share a folder. A block is written beside and renamed, and carries a checksum: what a crash
or a full disk left is fetched again, never heard.
"""

import fcntl
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espnet2.utils.errors import UserError

DIRECTORY_VARIABLE, LIMIT_VARIABLE = "AUDIO_CACHE_DIR", "AUDIO_CACHE_GB"
DEFAULT_GB = 50.0
CHECKSUM_BYTES = 4  # CRC-32
TOUCHED_SECONDS = 60.0  # a block that is read again within this keeps its time: fewer writes
KEPT_SHARE = 0.9  # what is left after an eviction, so that the folder is not looked through for every block


class BlockCache:
    """A folder of blocks; of one process, which shares the folder with others."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes

    def get(self, key: str, number: int) -> bytes | None:
        """A block; None where it is not here, or damaged."""
        path = self._path(key, number)
        try:
            content = path.read_bytes()
            if time.time() - path.stat().st_mtime > TOUCHED_SECONDS:
                os.utime(path)
        except OSError:
            return None
        block, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
        return block if zlib.crc32(block).to_bytes(CHECKSUM_BYTES, "little") == checksum else None

    def put(self, key: str, number: int, block: bytes) -> None:
        """Keep a block, and make room for it.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        path, size = self._path(key, number), len(block) + CHECKSUM_BYTES
        if size > self.limit_bytes:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._make_room(size)
            handle, name = tempfile.mkstemp(prefix=".block.", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(block)
                    stream.write(zlib.crc32(block).to_bytes(CHECKSUM_BYTES, "little"))
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _path(self, key: str, number: int) -> Path:
        return self.folder / key[:2] / f"{key}.{number}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _make_room(self, size: int) -> None:
        """Count a new block; where the limit is passed, look at what is really there and remove the oldest."""
        total = self.folder / ".total"
        try:
            used = int(total.read_text()) + size
        except (OSError, ValueError):
            used = self.limit_bytes + 1
        if used > self.limit_bytes:
            used = self._evict(size) + size
        total.write_text(str(used))

    def _evict(self, size: int) -> int:
        """Remove the blocks unused longest until `size` fits; returns the bytes that stay."""
        blocks = []
        for path in self.folder.glob("??/*"):
            try:
                stat = path.stat()
            except OSError:
                continue
            blocks.append((stat.st_mtime, stat.st_size, path))
        used = sum(size for _, size, _ in blocks)
        if used + size <= self.limit_bytes:
            return used
        for _, block_size, path in sorted(blocks):
            if used + size <= KEPT_SHARE * self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            used -= block_size
        return used


def cache_from_environment() -> BlockCache | None:
    """The cache that AUDIO_CACHE_DIR and AUDIO_CACHE_GB describe; None where the limit is 0.

    Raises:
        UserError: the limit is no number.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_GB)
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise UserError(f"{LIMIT_VARIABLE}={text}: expected gigabytes, 0 or more; 0 keeps nothing")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get(DIRECTORY_VARIABLE) or os.path.join(home, "espnet2-ssl", "audio")
    return BlockCache(Path(folder), int(limit * 1e9)) if limit else None
