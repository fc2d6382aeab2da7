"""The manifest of a checkpoint: sizes and hashes of its files, written last, which tell what is damaged."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file, write_json

MANIFEST = "state/manifest.json"  # written last: sizes and hashes of all other files


def find_damage(directory: Path) -> str | None:
    """What is wrong with a checkpoint; None if every file has the size and hash that were written."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        for name, (size, digest) in dict(manifest).items():
            path = directory / name
            if not path.exists():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} of {size} bytes"
            if hash_file(path) != digest:
                return f"{name} has other contents than were written"
    except (OSError, ValueError, TypeError):
        return "its manifest cannot be read"
    return None


def noted_file(directory: Path, name: str) -> tuple[int, str] | None:
    """Size and hash of one file of a checkpoint, as they were written; None where nothing is noted.

    Raises:
        UserError: the manifest is damaged.
    """
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if name not in manifest:
            return None
        size, digest = manifest[name]
        return int(size), str(digest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError):
        raise UserError(f"{path}: damaged; take another checkpoint, or a copy of this one") from None


def write_manifest(directory: Path, written: Mapping[str, tuple[int, str]]) -> None:
    """Flush all files, note sizes and hashes; those given were flushed by the ranks that wrote them."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    files = [path for path in files if str(path.relative_to(directory)) not in written]
    for path in files:
        _sync_file(path)
    write_json(directory / MANIFEST, {**written, **describe_files(directory, files)})
    for folder in (*(path for path in directory.rglob("*") if path.is_dir()), directory):
        sync_folder(folder)


def describe_files(directory: Path, paths: Iterable[Path]) -> dict[str, tuple[int, str]]:
    """Sizes and hashes of files, by their names in the manifest."""
    return {str(path.relative_to(directory)): (path.stat().st_size, hash_file(path)) for path in paths}


def _sync_file(path: Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder: the names in it are on the disk then."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
