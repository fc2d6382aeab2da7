"""Files in, the same with the name of their speaker out: from a folder's name or from a table."""

import hashlib
import os
import re
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

from inspection import Inspected

from espnet2.data_prep.disk import sort_file
from espnet2.utils.errors import UserError

MAX_NAME_CHARACTERS = 32  # of a file's name in its utterance id
HASH_CHARACTERS = 16  # 64 bits: no two of a billion files get the same id
NO_SPEAKER = "no_speaker"


class Entry(NamedTuple):
    """A file with its speaker."""

    file: Inspected
    speaker: str  # "": nobody knows, and each file gets a speaker of its own
    language: str | None


def as_id(name: str) -> str:
    """A name that Kaldi's tables can hold; without "-", which stands between the parts of an utterance id.

    >>> as_id("Anna-Lena Müller")
    'Anna_Lena_Müller'
    """
    return re.sub(r"[^\w.]", "_", name)


def file_id(path: str) -> str:
    """A name for a file that no other file has: its own, and a hash of the path below the root."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:HASH_CHARACTERS]
    return f"{as_id(Path(path).stem)[:MAX_NAME_CHARACTERS]}_{digest}"


def folder_speaker(path: str, level: int) -> str:
    """The name of the folder `level` steps below the root (1 is the first), or counted from the file (-1 holds it).

    >>> folder_speaker("site/anna/monday/1.wav", 2), folder_speaker("site/anna/1.wav", -1), folder_speaker("1.wav", 1)
    ('anna', 'anna', '')
    """
    folders = path.split("/")[:-1]
    if level == 0 or abs(level) > len(folders):
        return ""
    return as_id(folders[level - 1 if level > 0 else level])


def sorted_speakers(table: Path, root: Path, work: Path) -> Path:
    """Check a table of "<path>TAB<speaker>[TAB<language>]" and sort it like the listing; paths become relative.

    Raises:
        UserError: it is missing, not UTF-8, or a line has another form.
    """
    target = work / "speakers"
    try:
        with open(table, encoding="utf-8") as source, open(target, "w", encoding="utf-8", newline="\n") as stream:
            for number, line in enumerate(source, 1):
                fields = line.rstrip("\n").split("\t")
                if len(fields) not in (2, 3) or not all(field.strip() for field in fields):
                    raise UserError(
                        f"{table}:{number}: expected '<path below --audio_root>TAB<speaker>' or a language in a third "
                        f"column, got {line.rstrip()!r}"
                    )
                path = os.path.relpath(fields[0], root) if os.path.isabs(fields[0]) else os.path.normpath(fields[0])
                stream.write("\t".join([path, *(field.strip() for field in fields[1:])]) + "\n")
    except FileNotFoundError:
        raise UserError(f"--speakers {table}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"--speakers {table}: not UTF-8; convert it with iconv") from None
    sort_file(target, unique=True)
    return target


def checked(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """The same rows, none for the same path as the one before it."""
    for row, following in pairwise(chain(rows, [[""]])):
        if row[0] == following[0]:
            raise UserError(f"--speakers: two lines for {row[0]}: {' '.join(row[1:])} and {' '.join(following[1:])}")
        yield row


def with_speakers(files: Iterator[Inspected], table: Path | None, level: int, language: str | None) -> Iterator[Entry]:
    """Name each file's speaker; a file that the table lacks cannot be used.

    Args:
        files: in byte order of their paths.
        table: from `sorted_speakers`; None takes the folder's name.

    Raises:
        UserError: the table has two speakers for a file, or none of its paths is a file.
    """
    if table is None:
        for file in files:
            yield Entry(file, folder_speaker(file.path, level), language)
        return
    num_found = num_files = 0
    with open(table, encoding="utf-8", newline="\n") as stream:
        rows = checked(line[:-1].split("\t") for line in stream)
        row = next(rows, None)
        for file in files:
            num_files += 1
            key = os.fsencode(file.path)
            while row is not None and os.fsencode(row[0]) < key:
                row = next(rows, None)
            if row is None or row[0] != file.path:
                missing = file._replace(reason=NO_SPEAKER, detail="not in the table of speakers")
                yield Entry(missing if not file.reason else file, "", language)
                continue
            num_found += 1
            yield Entry(file, as_id(row[1]), row[2] if len(row) == 3 else language)
    if num_files and not num_found:
        raise UserError("--speakers: not one of its paths is a file; they are to be relative to --audio_root")
