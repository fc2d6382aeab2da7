"""The archive of a packed folder, a .tar.gz or .zip: written deterministically, and unpacked whole or refused."""

import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write

SUFFIXES = (".tar.gz", ".tgz", ".zip")
CONTENTS = (".safetensors", ".json", ".jsonl", ".yaml", ".txt", ".md", ".model", ".onnx", ".png")  # none runs code
FILE_MODE = 0o644
EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
COPY_BYTES = 1 << 20
MAX_MEMBERS = 1000
MAX_EXPANSION = 100  # unpacked over packed size; weights give 1.1, a bomb thousands
FREE_EXPANSION_BYTES = 64 << 20  # below this no archive is a bomb


class _Member(NamedTuple):
    name: str  # as the archive has it
    is_folder: bool
    is_file: bool  # neither for links, devices and pipes
    stream: IO[bytes] | None


def is_archive(path: str | Path) -> bool:
    """Whether the name is one that `write_archive` gives."""
    return str(path).endswith(SUFFIXES)


def write_archive(folder: str | Path, archive: str | Path) -> Path:
    """Put the files of a folder into one archive, below the folder's name: the same files give the same bytes.

    Raises:
        UserError: neither .tar.gz nor .zip, or a file that `unpack` would refuse.
    """
    folder, archive = Path(folder), Path(archive)
    if not is_archive(archive):
        raise UserError(f"{archive}: expected a name that ends in {' or '.join(SUFFIXES)}")
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    for path in files:
        if path.is_symlink() or not path.name.endswith(CONTENTS):
            raise UserError(f"{path}: not part of a packed model; expected plain files {', '.join(CONTENTS)}")
    names = [(path, f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}") for path in files]
    with atomic_write(archive, "wb") as stream:
        if archive.suffix == ".zip":
            _write_zip(stream, names)
        else:
            _write_tar(stream, names)
    return archive


def _write_tar(stream: IO[bytes], names: list[tuple[Path, str]]) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, name in names:
            member = tarfile.TarInfo(name)  # no owner, no time, one mode: nothing of this machine
            member.size, member.mode = path.stat().st_size, FILE_MODE
            with open(path, "rb") as contents:
                archive.addfile(member, contents)


def _write_zip(stream: IO[bytes], names: list[tuple[Path, str]]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=6) as archive:
        for path, name in names:
            member = zipfile.ZipInfo(name, EARLIEST_ZIP_DATE)
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3  # Unix, for the mode
            member.external_attr = (stat.S_IFREG | FILE_MODE) << 16
            with open(path, "rb") as contents, archive.open(member, "w", force_zip64=True) as packed:
                shutil.copyfileobj(contents, packed, COPY_BYTES)


def unpack(
    archive: str | Path, folder: str | Path, *, check: Callable[[Path, Path], None] = lambda unpacked, archive: None
) -> Path:
    """Write the files of a packed model to `folder`: all of them, or nothing where anything is not as it should be.

    Args:
        folder: must not exist yet. Gets the files without the one folder that the archive puts them in.
        check: called with the unpacked files and the archive before `folder` appears; raises what is wrong with them.

    Raises:
        UserError: the archive is damaged; a member has an absolute path or leaves the folder, is a link or a device,
            comes twice or is no kind of file that a packed model has; or it expands beyond all proportion.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise UserError(f"{folder}: exists; choose another folder, or remove it")
    new_parents = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        _unpack_beside(archive, folder, check)
    except BaseException:
        for parent in new_parents:  # the innermost first
            with suppress(OSError):
                parent.rmdir()
        raise
    return folder


def _unpack_beside(archive: Path, folder: Path, check: Callable[[Path, Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        root = Path(scratch) / "files"
        root.mkdir()
        try:
            _extract(archive, root)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError, struct.error) as error:
            raise UserError(
                f"{archive}: damaged or cut short ({error or type(error).__name__}); fetch it again"
            ) from None
        except (NotImplementedError, RuntimeError) as error:  # zipfile: unknown compression, encryption
            raise UserError(f"{archive}: cannot be read ({error}); expected a plain .zip or .tar.gz") from None
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: no such archive") from None
        inside = list(root.iterdir())
        only = inside[0] if len(inside) == 1 and inside[0].is_dir() else root
        check(only, archive)
        os.replace(only, folder)


def _extract(archive: Path, root: Path) -> None:
    allowed = max(FREE_EXPANSION_BYTES, MAX_EXPANSION * archive.stat().st_size)
    seen: set[str] = set()
    with _open(archive, allowed) as members:
        for member in members:
            path = _checked(archive, member)
            if member.is_folder:
                continue
            assert member.stream is not None, f"{member.name} is a plain file"
            if str(path).lower() in seen or len(seen) >= MAX_MEMBERS:
                raise UserError(
                    f"{archive}: member '{member.name}' comes twice, or as number {MAX_MEMBERS + 1}; refused"
                )
            seen.add(str(path).lower())
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as stream:
                allowed -= _copy(member.stream, stream, allowed, archive)
    if not seen:
        raise UserError(f"{archive}: holds no file")


def _copy(source: IO[bytes], target: IO[bytes], allowed: int, archive: Path) -> int:
    """Copy, counting what really comes out: headers can lie."""
    count = 0
    while block := source.read(COPY_BYTES):
        count += len(block)
        if count > allowed:
            raise _bomb(archive)
        target.write(block)
    return count


def _bomb(archive: Path) -> UserError:
    return UserError(f"{archive}: expands to more than {MAX_EXPANSION} times its size; no packed model does; refused")


@contextmanager
def _open(archive: Path, allowed: int) -> Iterator[Iterator[_Member]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened)
        return
    with (
        gzip.open(archive) as packed,
        tarfile.open(fileobj=_Counted(packed, allowed + FREE_EXPANSION_BYTES, archive), mode="r|") as opened,
    ):
        yield _tar_members(opened)
        while packed.read(COPY_BYTES):  # to the end: its check sum stands there
            pass


class _Counted(io.RawIOBase):
    """A stream that gives so many bytes and no more: a header of a tar is read into memory, whatever size it claims."""

    def __init__(self, stream: gzip.GzipFile, allowed: int, archive: Path) -> None:
        super().__init__()
        self.stream, self.allowed, self.archive = stream, allowed, archive

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size if 0 <= size <= self.allowed else self.allowed + 1)
        self.allowed -= len(data)
        if self.allowed < 0:
            raise _bomb(self.archive)
        return data


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for member in archive.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)
        is_file = kind in (0, stat.S_IFREG) and not member.is_dir()
        if is_file:
            with archive.open(member) as stream:
                yield _Member(member.filename, False, True, stream)
        else:
            yield _Member(member.filename, member.is_dir() and kind in (0, stat.S_IFDIR), False, None)


def _tar_members(archive: tarfile.TarFile) -> Iterator[_Member]:
    for member in archive:
        plain = member.isreg() and not member.issparse()
        yield _Member(member.name, member.isdir(), plain, archive.extractfile(member) if plain else None)


def _checked(archive: Path, member: _Member) -> PurePosixPath:
    """The place of a member inside the folder."""
    name = member.name
    path = PurePosixPath(name)
    unsafe = not name.isprintable() or "\\" in name or ":" in name or path.is_absolute() or ".." in path.parts
    if unsafe or not path.parts:
        raise UserError(f"{archive}: member {name!r} leads outside the folder; refused, nothing was unpacked")
    if not member.is_folder and not member.is_file:
        raise UserError(f"{archive}: member {name!r} is a link or a device; refused, nothing was unpacked")
    if member.is_file and not name.endswith(CONTENTS):
        raise UserError(
            f"{archive}: member {name!r} is no part of a packed model (these are {', '.join(CONTENTS)}); "
            "refused, nothing was unpacked"
        )
    return path
