"""Kaldi text tables ("<key> <rest of the line>"), read and written, with file and line in every error."""

import codecs
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write


def iterate_table(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (key, value) for each line; the value may be empty.

    Raises:
        UserError: the file is missing, not UTF-8, has zero bytes, CRLF line ends or an empty line.
    """
    path = Path(path)
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed below; opened here for the message
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    with stream:
        for number, raw in enumerate(stream, 1):
            if number == 1 and raw.startswith(codecs.BOM_UTF8):  # of an editor; no part of the first key
                print(f"{path}: a byte order mark at its head is passed over", file=sys.stderr, flush=True)
                raw = raw.removeprefix(codecs.BOM_UTF8)
            if b"\0" in raw:
                raise UserError(f"{path}:{number}: zero bytes, which no text has: the file is damaged; make it again")
            if raw.endswith(b"\r\n"):
                raise UserError(f"{path}:{number}: line ends in CR LF; convert the file: sed -i 's/\\r$//' {path}")
            parts = raw.split(maxsplit=1)  # bytes: only ASCII blanks separate, as in Kaldi
            if not parts:
                raise UserError(f"{path}:{number}: empty line; expected '<key> <value>'")
            try:
                key, value = parts[0].decode("utf-8"), parts[1].rstrip().decode("utf-8") if len(parts) == 2 else ""
            except UnicodeDecodeError:
                raise UserError(f"{path}:{number}: not UTF-8; convert the file with iconv") from None
            yield key, value


def read_table(path: str | Path) -> dict[str, str]:
    """Read a whole table, in the order of the file.

    Raises:
        UserError: as `iterate_table`, or a key appears twice.
    """
    path = Path(path)
    table: dict[str, str] = {}
    for number, (key, value) in enumerate(iterate_table(path), 1):
        if key in table:
            raise UserError(f"{path}:{number}: key '{key}' appears twice; run utils/fix_data_dir.sh {path.parent}")
        table[key] = value
    return table


def write_table(path: str | Path, rows: Iterable[tuple[str, str]]) -> int:
    """Write "<key> <value>" lines atomically, in the order given (Kaldi's is the C locale's); returns their number."""
    count = 0
    with atomic_write(path) as stream:
        for key, value in rows:
            stream.write(f"{key} {value}\n" if value != "" else f"{key}\n")
            count += 1
    return count
