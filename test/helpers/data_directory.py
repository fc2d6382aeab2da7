"""A data directory in, its tables and their keys out, for tests that compare whole directories."""

from pathlib import Path


def tables(folder: Path) -> dict[str, str]:
    """Name -> content of all files of a folder, hidden ones left out; line ends as they are."""
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return {path.name: path.read_bytes().decode() for path in paths}


def keys(text: str) -> list[str]:
    """The first field of every line."""
    return [line.split()[0] for line in text.splitlines()]
