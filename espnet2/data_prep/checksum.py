"""The files that a recipe reads in, one checksum of all of them out."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path


def content_checksum(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 (64 hex digits) of files below `root`, in their order: of each its relative path and its own SHA-256."""
    digest = sha256()
    for file in files:
        digest.update(f"{file.as_posix()} {sha256((root / file).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
