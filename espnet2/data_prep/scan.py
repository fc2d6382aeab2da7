"""The folder of a corpus in, the sorted names of its audio files out: in parallel, and a stopped scan goes on."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from espnet2.data_prep.disk import sort_file
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write
from espnet2.utils.progress import Progress

UNIT_FOLDERS = 256  # folders are opened breadth first until there are so many; each then is a unit of work
NUM_PARTS = 64  # files of a listing that stopped half way: at most so much of it is lost
CHUNK = 64  # items a process takes at a time
NUM_NAMED = 8  # names that an error shows

Item = TypeVar("Item")
Result = TypeVar("Result")


def require_root(root: str | Path, expected_children: Collection[str], what: str) -> Path:
    """Return the folder of a corpus, or say which folder was expected and what was found.

    Args:
        expected_children: names, or paths below the root, that must all be there.
        what: the corpus, and the option that names its folder: "TIMIT (--timit_root)".

    Raises:
        UserError: the folder or one of the children is missing.
    """
    root = Path(root)
    expected = ", ".join(f"{root}/{name}" for name in expected_children)
    if not root.is_dir():
        raise UserError(f"{what}: no folder {root}; expected {expected or 'a folder'}")
    missing = [name for name in expected_children if not (root / name).exists()]
    if missing:
        names = sorted(path.name for path in root.iterdir())
        shown = ", ".join(names[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")
        raise UserError(
            f"{what}: {root} lacks {', '.join(missing)}; expected {expected}; found {shown or 'an empty folder'}"
        )
    return root


def scan_audio(
    root: str | Path, suffixes: Collection[str], num_jobs: int = 1, work: str | Path | None = None
) -> Iterator[str]:
    """Yield the files below a folder with one of the suffixes, in any case: relative, with "/", in byte order.

    Hidden files and folders (a Mac's "._a.wav" among them) are left out; links to folders are followed, once each way.

    Args:
        suffixes: such as (".wav", ".flac").
        num_jobs: folders to read at a time.
        work: folder for what has been read: a scan that was killed goes on there, and nothing is left when it ends.
            Without it the names are kept in memory.
    """
    root = Path(root)
    if work is None:
        yield from sorted(_walk(root, "", _lower(suffixes)), key=os.fsencode)
        return
    listing = Path(work) / f"listing.{_key(root, suffixes)}"
    _make_listing(root, _lower(suffixes), num_jobs, listing)
    try:
        with open(listing, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            for line in stream:
                yield line[:-1]
    finally:  # kept, it would hide files that come later
        listing.unlink()


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], num_jobs: int = 1, chunk: int = CHUNK
) -> Iterator[Result]:
    """Yield function(item) for each item, in their order, computed by `num_jobs` processes; few are held at a time.

    `function` is one of a module's top level. With one job everything runs in this process.
    """
    if num_jobs <= 1:
        yield from map(function, items)
        return
    iterator = iter(items)
    with ProcessPoolExecutor(num_jobs) as pool:
        waiting: deque = deque()
        try:
            while chunk_items := list(islice(iterator, chunk)):
                waiting.append(pool.submit(_apply, function, chunk_items))
                if len(waiting) > 2 * num_jobs:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _apply(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def _lower(suffixes: Collection[str]) -> tuple[str, ...]:
    return tuple(suffix.lower() for suffix in suffixes)


def _key(root: Path, suffixes: Collection[str]) -> str:
    """A name for the listing of these suffixes below this folder."""
    return hashlib.sha256(os.fsencode("\0".join([str(root.resolve()), *sorted(_lower(suffixes))]))).hexdigest()[:16]


def _open(root: Path, below: str, suffixes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The wanted files and the folders directly in root/below, relative to the root."""
    files, folders = [], []
    prefix = f"{below}/" if below else ""
    with os.scandir(root / below) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if not (entry.is_symlink() and _leads_up(entry.path)):
                    folders.append(prefix + entry.name)
            elif entry.name.lower().endswith(suffixes):
                files.append(prefix + entry.name)
    return files, folders


def _leads_up(link: str) -> bool:
    """Whether a link leads to a folder that it lies in: following it would never end."""
    target = os.path.realpath(link)
    return os.path.commonpath([target, os.path.realpath(os.path.dirname(link))]) == target


def _walk(root: Path, below: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    stack = [below]
    while stack:
        files, folders = _open(root, stack.pop(), suffixes)
        yield from files
        stack += folders


def _make_listing(root: Path, suffixes: tuple[str, ...], num_jobs: int, listing: Path) -> None:
    """Write the sorted listing, from parts that are kept until it is whole."""
    parts = listing.with_name(f"{listing.name}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    if any(parts.iterdir()):
        print(f"going on with the scan in {parts}; delete that folder to begin anew", flush=True)
    first, units = [], [""]
    while units and len(units) < UNIT_FOLDERS:  # a corpus has few folders at the top, and many below
        opened = [_open(root, unit, suffixes) for unit in units]
        first += [name for files, _ in opened for name in files]
        units = [name for _, folders in opened for name in folders]
    units.sort()
    groups = [units[number::NUM_PARTS] for number in range(NUM_PARTS)]
    progress = Progress(f"folders read below {root}", len(units))

    def read(number: int) -> None:
        group = groups[number]
        part = parts / hashlib.sha256("\n".join(group).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        if group and not part.exists():
            with atomic_write(part, "wb") as stream:
                for unit in group:
                    stream.writelines(os.fsencode(name) + b"\n" for name in _checked(_walk(root, unit, suffixes), root))
        progress.add(len(group))
        names[number] = part if group else None

    names: list[Path | None] = [None] * NUM_PARTS
    with ThreadPoolExecutor(max(1, num_jobs)) as pool:  # reading folders waits for the disk, not for Python
        list(pool.map(read, range(NUM_PARTS)))
    whole = parts / "whole"
    with open(whole, "wb") as stream:
        stream.writelines(os.fsencode(name) + b"\n" for name in _checked(first, root))
        for part in filter(None, names):
            stream.write(part.read_bytes())
    sort_file(whole)
    os.replace(whole, listing)
    for part in parts.iterdir():
        part.unlink()
    parts.rmdir()


def _checked(names: Iterable[str], root: Path) -> Iterator[str]:
    for name in names:
        if "\n" in name:
            raise UserError(f"{root}: the file name {name!r} has a line break in it; rename the file")
        yield name
