"""The address of an archive in, its unpacked files out: goes on after a stop, verifies, leaves nothing half done."""

import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit

from espnet2.utils.errors import UserError
from espnet2.utils.progress import Progress
from espnet2.utils.show import format_bytes

BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error)


def fetch(url: str, to: str | Path, *, sha256: str = "", md5: str = "", unpack: bool = True, keep: bool = True) -> Path:
    """Download a file into the folder `to`, verify it, and unpack it there if it is an archive.

    What an earlier call did is not done again: a partial download goes on where it stopped (HTTP ranges) if the file
    there is still the same one (If-Range); what was unpacked is left alone, even if the archive was deleted since
    (`<to>/.<name>.unpacked` says so). A file that lies there already is verified like one that was fetched.

    Args:
        sha256, md5: what the publisher says; with neither, the log says that nothing was verified.
        unpack: False leaves the file as it is.
        keep: False removes the archive when it is unpacked.

    Returns:
        the file, or with `unpack` the folder `to`.

    Raises:
        UserError: not reachable, not what was expected, or damaged.
    """
    to = Path(to)
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    done = to / f".{name}.unpacked"
    if unpack and done.exists():
        return to
    to.mkdir(parents=True, exist_ok=True)
    path = to / name
    if path.exists():
        _verify(path, url, sha256, md5)
    else:
        partial = path.with_name(f"{name}.partial")
        _download(url, partial, is_verified=bool(sha256 or md5))
        _verify(partial, url, sha256, md5)
        os.replace(partial, path)
        _validator_file(partial).unlink(missing_ok=True)
    if not unpack:
        return path
    print(f"unpacking {path}", flush=True)
    unpack_archive(path, to)
    done.touch()
    if not keep:
        path.unlink()
    return to


def unpack_archive(path: Path, to: Path) -> None:
    """Unpack a tar (any compression) or zip archive; names that lead out of the folder are refused.

    Raises:
        UserError: it is neither, or damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(to)  # drops ".." and absolute names itself
        else:
            with tarfile.open(path) as archive:
                archive.extractall(to, filter="data")  # PEP 706: in 3.10.12, 3.11.4 and later
    except DAMAGED as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); delete it and run again to fetch it anew") from None


def _validator_file(partial: Path) -> Path:
    """Holds the ETag or the date of the file that a partial download is the beginning of."""
    return partial.with_name(f"{partial.name}.validator")


def _download(url: str, partial: Path, *, is_verified: bool) -> None:
    """Append to what is there already; begin anew where the file changed, or the server knows no ranges.

    Args:
        is_verified: a checksum will tell whether both halves are of one file; without one, the server must say so.
    """
    have = partial.stat().st_size if partial.exists() else 0
    file = _validator_file(partial)
    validator = file.read_text(encoding="latin-1").strip() if have and file.exists() else ""
    if not validator and not is_verified:
        have = 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and validator:
        headers["If-Range"] = validator
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            goes_on = answer.status == 206
            if not goes_on:
                _note_validator(answer.headers, file)
            length = int(answer.headers.get("Content-Length") or 0)
            total = length + have if goes_on else length
            _check_space(partial, length, url)
            print(f"fetching {url}" + (f" from byte {have:,}" if goes_on else ""), flush=True)
            progress = Progress(f"bytes of {partial.stem}", total or None)
            with open(partial, "ab" if goes_on else "wb") as stream:
                while block := answer.read(BLOCK_BYTES):
                    stream.write(block)
                    progress.add(len(block))
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send: the partial file is whole
            return
        raise UserError(f"{url}: {error.code} {error.reason}; fetch it by hand and put it beside {partial}") from None
    except (OSError, EOFError) as error:
        raise UserError(f"{url}: {error}; run again to go on with {partial}, or fetch the file by hand") from None
    if total and partial.stat().st_size != total:
        raise UserError(
            f"{url}: {partial.stat().st_size:,} of {total:,} bytes arrived; run again to go on with {partial}"
        )


def _note_validator(headers: Message, file: Path) -> None:
    """RFC 9110, 13.1.5: a weak ETag proves nothing about bytes, a date does well enough."""
    etag = headers.get("ETag") or ""
    validator = etag if etag.startswith('"') else headers.get("Last-Modified") or ""
    if validator:
        file.write_text(validator, encoding="latin-1")
    else:
        file.unlink(missing_ok=True)


def _check_space(partial: Path, length: int, url: str) -> None:
    free = shutil.disk_usage(partial.parent).free
    if length > free:
        raise UserError(f"{url}: {format_bytes(length)} to fetch, {format_bytes(free)} free in {partial.parent}")


def _verify(file: Path, url: str, sha256: str, md5: str) -> None:
    """Compare the checksum. A download that has another is removed, since no later call could mend it; a file that lay
    there before may be the user's, and stays."""
    if not (sha256 or md5):
        print(f"{url}: no checksum is published: not verified", flush=True)
        return
    digest = hashlib.sha256() if sha256 else hashlib.md5(usedforsecurity=False)
    with open(file, "rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    if digest.hexdigest() == (sha256 or md5).lower():
        return
    mismatch = f"{digest.name} is {digest.hexdigest()}, expected {sha256 or md5}"
    if file.suffix != ".partial":
        raise UserError(f"{file}: {mismatch}: it is not the file of {url}, or damaged; move it away and run again")
    file.unlink()
    _validator_file(file).unlink(missing_ok=True)
    raise UserError(f"{url}: {mismatch}; the download was removed: run again, or fetch the file by hand")
