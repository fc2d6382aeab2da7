"""The festvox-ru package (.deb) in, a folder with wav/, lab/, etc/txt.done.data and the licence out; needs no root."""

import argparse
import lzma
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from espnet2.utils.errors import UserError, run_main

VOICE = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
COPYRIGHT = "usr/share/doc/festvox-ru/copyright"
AR_MAGIC, AR_HEADER_BYTES = b"!<arch>\n", 60  # ar(5); a Debian package is an ar archive (deb(5))
STREAM_MODE = {"data.tar": "r|", "data.tar.gz": "r|gz", "data.tar.xz": "r|xz"}  # what tarfile can read


def wanted_name(member: str) -> Path | None:
    """Where a file of the package goes, relative to the corpus folder; None for what the recipe does not use."""
    path = Path(member.removeprefix("./"))
    if path == Path(COPYRIGHT):
        return Path("copyright")
    if not path.is_relative_to(VOICE):
        return None
    inner = path.relative_to(VOICE)
    audio_or_labels = len(inner.parts) == 2 and (inner.parts[0], inner.suffix) in {("wav", ".wav"), ("lab", ".lab")}
    return inner if audio_or_labels or inner == Path("etc/txt.done.data") else None


def find_data_member(stream: IO[bytes]) -> str:
    """Move the stream to the start of the `data.tar.*` member of an ar archive and return the member's name."""
    if stream.read(len(AR_MAGIC)) != AR_MAGIC:
        raise ValueError("not a Debian package")
    while header := stream.read(AR_HEADER_BYTES):
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            return name
        stream.seek(size + size % 2, 1)  # members start at even offsets
    raise ValueError("no data.tar member")


@contextmanager
def open_data(package: Path) -> Iterator[tarfile.TarFile]:
    """The package's files as a tar stream: through dpkg-deb, or in Python where that is not installed."""
    if program := shutil.which("dpkg-deb"):
        with subprocess.Popen([program, "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                yield archive
            process.stdout.read()  # tar's padding: left unread it would fail dpkg-deb
        if process.returncode != 0:
            raise ValueError(f"dpkg-deb ended with status {process.returncode}")
        return
    with open(package, "rb") as stream:
        name = find_data_member(stream)
        if name not in STREAM_MODE:
            raise ValueError(f"{name}: unpacking this compression needs dpkg-deb")
        with tarfile.open(fileobj=stream, mode=STREAM_MODE[name]) as archive:
            yield archive


def unpack(package: Path, corpus: Path) -> int:
    """Write the wanted files below the folder `corpus`, which must be new.

    Returns:
        the number of audio files.

    Raises:
        UserError: the package is damaged, or is another one. What was written by then stays.
    """
    num_audio_files = 0
    try:
        with open_data(package) as archive:
            for member in archive:
                name = wanted_name(member.name)
                if name is None or not member.isfile():
                    continue
                (corpus / name).parent.mkdir(parents=True, exist_ok=True)
                with open(corpus / name, "wb") as target:
                    shutil.copyfileobj(archive.extractfile(member), target)
                num_audio_files += name.suffix == ".wav"
    except (ValueError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{package}: cannot be unpacked ({error}); delete it and run again to fetch it anew") from None
    if not num_audio_files:
        raise UserError(f"{package}: no {VOICE}/wav/*.wav in it; expected the Debian package festvox-ru")
    return num_audio_files


def main() -> None:
    """Unpack and say how much there was."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("package", type=Path, help="festvox-ru_*_all.deb")
    parser.add_argument("corpus", type=Path, help="folder to make; must be new")
    arguments = parser.parse_args()
    print(f"{arguments.corpus}: {unpack(arguments.package, arguments.corpus)} audio files")


if __name__ == "__main__":
    run_main(main)
