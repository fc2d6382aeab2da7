"""Files that are whole or not there: atomic writing, JSON and hashes."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, overload

from espnet2.utils.errors import UserError

HASH_CHARACTERS = 16  # 64 bits: no chance collision among the artefacts of one experiment


@overload
def atomic_write(path: str | Path, mode: Literal["w"] = "w") -> AbstractContextManager[IO[str]]: ...


@overload
def atomic_write(path: str | Path, mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...


@contextmanager
def atomic_write(path: str | Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """Open a file beside `path`; flush, fsync and rename it to `path` when the block ends without an error.

    Args:
        path: the final name; its folder is made if need be.
        mode: "w" (UTF-8, newline "\\n") or "wb".
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding, newline = (None, None) if mode == "wb" else ("utf-8", "\n")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(handle, 0o666 & ~umask)  # mkstemp makes private files; a cluster's other users read ours
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    with atomic_write(path) as stream:
        json.dump(value, stream, indent=2, sort_keys=True, ensure_ascii=False)
        stream.write("\n")


def hash_bytes(*parts: bytes | str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the parts, each preceded by its length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:HASH_CHARACTERS]


def hash_file(path: str | Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a file's contents."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:HASH_CHARACTERS]


def hash_value(value: object) -> str:
    """The hash of anything JSON can hold, independent of the order of keys."""
    return hash_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False))


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file that can be made again; None where there is none, or it is damaged."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a cut may fall inside a character, too
        return None
    return contents if isinstance(contents, dict) else None


def require_json(path: Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file that nothing can do without.

    Args:
        remedy: what to do where there is none, or it is damaged.

    Raises:
        UserError: it is missing, damaged or cut short; the message names the file, the line and the remedy.
    """
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {remedy}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: damaged or cut short ({error.msg}): {remedy}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise UserError(f"{path}:{line}: damaged or cut short (not UTF-8): {remedy}") from None
    if not isinstance(contents, dict):
        raise UserError(f"{path}:1: expected a JSON object: {remedy}")
    return contents


def read_json_lines(path: Path) -> Iterator[Any]:
    """What each line of a journal holds, up to one that a stop cut short; nothing where there is no journal."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return
