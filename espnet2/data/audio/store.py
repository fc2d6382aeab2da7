"""The address of an object in a store (s3://, gs://, http(s)://, ...) in, its bytes out, through fsspec.

Bytes are asked for in blocks; missing neighbours come in one request. A request that stalls, fails or brings another
number of bytes is made again, and after the last try it is an error: audio is never shorter than it should be.
"""

import io
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from espnet2.data.audio.entry import is_in_store
from espnet2.data.audio.store_cache import BlockCache, cache_from_environment
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs
from espnet2.utils.files import hash_bytes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from fsspec.spec import AbstractFileSystem

BLOCK_BYTES = 1 << 20  # a few utterances of FLAC
REQUEST_BLOCKS = 32  # asked for at once
KEPT_BLOCKS = 8  # in memory, of one object
KEPT_OBJECTS = 64
STREAM_BYTES = 1 << 16
TRIES_VARIABLE, SECONDS_VARIABLE = "AUDIO_STORE_TRIES", "AUDIO_STORE_SECONDS"
DEFAULT_TRIES, DEFAULT_SECONDS = 4, 60.0
FIRST_WAIT_SECONDS = 0.5  # before the second try; doubled for each further one
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp",
            "hf": "huggingface_hub"}  # fmt: skip
CREDENTIALS = ("NoCredentials", "PartialCredentials", "CredentialRetrieval", "DefaultCredentials", "ProfileNotFound",
               "Forbidden")  # fmt: skip
VERSIONS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime")  # of fsspec's `info`

Result = TypeVar("Result")


class StoreObject:
    """One object, as it is when it is first looked at; of one process."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.file_system, self.path = _file_system(address)
        about = _tried(address, "its size", lambda: _call(self.file_system, "info", self.path))
        if not isinstance(about, dict) or not isinstance(about.get("size"), int):
            raise UserError(f"{address}: the server does not say how large it is, so a part would pass for the whole")
        self.size: int = about["size"]
        version = next((str(about[name]) for name in VERSIONS if about.get(name)), "")
        self.key = hash_bytes(address, str(self.size), version)
        self.cache: BlockCache | None = cache_from_environment()
        self.blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start`..`stop`, no fewer but at the object's end.

        Raises:
            UserError: they cannot be had.
        """
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        content = b"".join(self._blocks(first, last + 1))
        return content[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def _blocks(self, first: int, stop: int) -> list[bytes]:
        blocks = {number: self._kept(number) for number in range(first, stop)}
        number = first
        while number < stop:
            end = number
            while end < stop and blocks[end] is None and end - number < REQUEST_BLOCKS:
                end += 1
            if end > number:
                blocks.update(self._fetch(number, end))
            number = max(end, number + 1)
        for number in list(blocks)[-KEPT_BLOCKS:]:
            self.blocks[number] = blocks[number] or b""
            self.blocks.move_to_end(number)
        while len(self.blocks) > KEPT_BLOCKS:
            self.blocks.popitem(last=False)
        return [block or b"" for block in blocks.values()]

    def _kept(self, number: int) -> bytes | None:
        block = self.blocks.get(number) or (self.cache.get(self.key, number) if self.cache else None)
        return block if block is not None and len(block) == len(self._range(number, number + 1)) else None

    def _range(self, first: int, stop: int) -> range:
        return range(first * BLOCK_BYTES, min(stop * BLOCK_BYTES, self.size))

    def _fetch(self, first: int, stop: int) -> dict[int, bytes]:
        """Blocks in one request."""
        span = self._range(first, stop)

        def request() -> bytes:
            content = _call(self.file_system, "cat_file", self.path, start=span.start, end=span.stop)
            if not isinstance(content, bytes) or len(content) != len(span):
                raise OSError(f"{len(content) if isinstance(content, bytes) else 0:,} bytes came, not {len(span):,}")
            return content

        content = _tried(self.address, f"bytes {span.start:,} to {span.stop:,}", request)
        blocks = {
            number: content[(number - first) * BLOCK_BYTES : (number - first + 1) * BLOCK_BYTES]
            for number in range(first, stop)
        }
        if self.cache is not None:
            try:
                for number, block in blocks.items():
                    self.cache.put(self.key, number, block)
            except OSError as error:
                print(f"{self.cache.folder}: nothing is kept there from now on ({error})", file=sys.stderr, flush=True)
                self.cache = None
        return blocks


class _ObjectStream(io.RawIOBase):
    """An object as a stream that seeks."""

    def __init__(self, item: StoreObject) -> None:
        super().__init__()
        self.item, self.position = item, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.item.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: "Buffer") -> int:
        target = memoryview(buffer).cast("B")
        content = self.item.read(self.position, self.position + len(target))
        target[: len(content)] = content
        self.position += len(content)
        return len(content)


_objects: tuple[int, OrderedDict[str, StoreObject]] = (os.getpid(), OrderedDict())


def open_object(address: str) -> io.BufferedIOBase:
    """An object of a store, as a stream that seeks.

    Raises:
        FileNotFoundError: there is none.
        UserError: the store cannot be reached or refuses, or a package is not installed.
    """
    return io.BufferedReader(_ObjectStream(find_object(address)), STREAM_BYTES)


def find_object(address: str) -> StoreObject:
    """An object that this process looks at; raises as `open_object`."""
    global _objects
    process, objects = _objects
    if process != os.getpid():
        objects = OrderedDict()
        _objects = (os.getpid(), objects)
    if address not in objects:
        objects[address] = StoreObject(address)
        if len(objects) > KEPT_OBJECTS:
            objects.popitem(last=False)
    objects.move_to_end(address)
    return objects[address]


def prefetch(file: str, start: int, stop: int) -> None:
    """Bring bytes of an object near in as few requests as possible; a file of this machine is left alone."""
    if is_in_store(file) and stop - start <= KEPT_BLOCKS * BLOCK_BYTES:
        find_object(file).read(start, stop)


def read_ahead(file: str, start: int) -> int:
    """Bring what follows a place into the cache, for who reads an object from its begin to its end.

    Returns:
        Where what was brought ends.
    """
    if not is_in_store(file):
        return sys.maxsize
    item = find_object(file)
    stop = min(item.size, start + REQUEST_BLOCKS * BLOCK_BYTES)
    if item.cache is not None:
        item.read(start, stop)
    return stop


def list_objects(pattern: str) -> list[str]:
    """The addresses that match a pattern with *, sorted; raises as `open_object`."""
    file_system, path = _file_system(pattern)
    names = _tried(pattern, "a list", lambda: _call(file_system, "glob", path))
    return sorted(str(file_system.unstrip_protocol(name)) for name in names) if isinstance(names, list) else []


def _file_system(address: str) -> tuple["AbstractFileSystem", str]:
    protocol = address.split("://", 1)[0]
    package = PACKAGES.get(protocol, "")
    line = f"pip install fsspec {package}".rstrip()
    with needs(f"{address}: reading from a store needs fsspec{package and f' and {package}'}; install it: {line}"):
        from fsspec.core import url_to_fs

        try:
            file_system, path = url_to_fs(address)
        except ValueError as error:
            raise UserError(f"{address}: {error}; expected s3://, gs://, http:// or https://") from None
    return file_system, str(path)


def _call(file_system: "AbstractFileSystem", name: str, *arguments: object, **options: object) -> object:
    """What a method of a file system gives; of an asynchronous one, within so many seconds. fsspec has no types."""
    seconds = _number(SECONDS_VARIABLE, DEFAULT_SECONDS)
    if not getattr(file_system, "async_impl", False):
        result: object = getattr(file_system, name)(*arguments, **options)
        return result
    from fsspec.asyn import sync

    answer: object = sync(file_system.loop, getattr(file_system, f"_{name}"), *arguments, timeout=seconds, **options)
    return answer


def _tried(address: str, what: str, request: Callable[[], Result]) -> Result:
    """The result of a request, after as many tries as it needs and may have."""
    tries = max(1, int(_number(TRIES_VARIABLE, DEFAULT_TRIES)))
    for number in range(1, tries + 1):
        try:
            return request()
        except FileNotFoundError:
            raise FileNotFoundError(address) from None
        except Exception as error:  # every store's library has errors of its own
            _give_up_at_once(address, error)
            why = f"{type(error).__name__}: {' '.join(str(error).split()) or _stalled()}"
        if number < tries:
            wait = FIRST_WAIT_SECONDS * 2 ** (number - 1)
            print(f"{address}: {what}: try {number} of {tries} failed ({why}); again in {wait:g} s",
                  file=sys.stderr, flush=True)  # fmt: skip
            time.sleep(wait)
    raise UserError(
        f"{address}: {what} could not be had in {tries} tries; the last: {why}; look at the network and the store, "
        f"then start the same command again ({TRIES_VARIABLE}={tries} and {SECONDS_VARIABLE} set the limits)"
    )


def _give_up_at_once(address: str, error: Exception) -> None:
    """Raise UserError where another try is as useless."""
    status = getattr(error, "status", None)
    name = type(error).__name__
    if isinstance(error, PermissionError) or status in (401, 403) or name.startswith(CREDENTIALS):
        raise UserError(
            f"{address}: no permission ({' '.join(str(error).split()) or name}); give credentials as the store's own "
            "tools take them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS), or for "
            "what is public FSSPEC_S3='{\"anon\": true}'"
        ) from None
    if status in (404, 410):
        raise FileNotFoundError(address) from None
    if isinstance(error, UserError | ImportError | TypeError | NotImplementedError):
        raise error


def _stalled() -> str:
    return f"nothing came within {_number(SECONDS_VARIABLE, DEFAULT_SECONDS):g} s"


def _number(variable: str, default: float) -> float:
    text = os.environ.get(variable) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"{variable}={text}: expected a number above 0")
    return value
