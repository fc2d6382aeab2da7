"""A row of a Parquet file in, the bytes of the audio file in it out; the row groups in use are kept in memory."""

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from espnet2.data.audio.entry import ParquetRow, is_in_store
from espnet2.data.audio.store import open_object
from espnet2.utils.extras import needs

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

# Of one process. A row is read with its row group: Hugging Face writes 100 rows of audio to one, some 30 MB.
KEPT_BYTES = 256 << 20
KEPT_FILES = 16
BYTES_FIELD = "bytes"  # of the `Audio` feature of Hugging Face's datasets: {bytes, path}


class _Kept:
    """Open files and decoded columns of one process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.files: OrderedDict[str, ParquetFile] = OrderedDict()
        self.columns: OrderedDict[tuple[str, str, int], pyarrow.Array] = OrderedDict()
        self.num_bytes = 0


_kept = _Kept()


def open_parquet(file: str) -> "ParquetFile":
    """The footer of a Parquet file, which is read once.

    Raises:
        OSError, ValueError: it is not there, cut short, or no Parquet.
        UserError: pyarrow is not installed, or a store cannot be reached.
    """
    kept = _of_this_process()
    if file in kept.files:
        kept.files.move_to_end(file)
        return kept.files[file]
    with needs(f"{file}: Parquet needs pyarrow; install it: pip install pyarrow"):
        from pyarrow import parquet
    if is_in_store(file):
        opened = parquet.ParquetFile(open_object(file), pre_buffer=False)
    elif not os.path.exists(file):
        raise FileNotFoundError(file)
    else:
        opened = parquet.ParquetFile(file, memory_map=True, pre_buffer=False)
    kept.files[file] = opened
    if len(kept.files) > KEPT_FILES:
        kept.files.popitem(last=False)
    return opened


def cell_bytes(file: str, row: ParquetRow) -> bytes:
    """The audio file in a cell.

    Raises:
        OSError, ValueError: the file, the column or the row is not there, or the cell holds no bytes.
        UserError: as `open_parquet`.
    """
    column = _column(file, row)
    if row.row >= len(column):
        raise ValueError(f"{file} has {len(column)} rows in row group {row.group}, asked for number {row.row} (from 0)")
    content = column[row.row].as_py()
    if not isinstance(content, bytes):
        raise ValueError(f"{file}: no bytes in column {row.column}, row group {row.group}, row {row.row}")
    return content


def bytes_column(opened: "ParquetFile", file: str, column: str) -> str:
    """The path of a column's bytes: "audio.bytes" of the `Audio` feature, or the column itself.

    Raises:
        ValueError: there is no such column, or it holds no bytes.
    """
    schema = opened.schema_arrow
    names = list(schema.names)
    if column not in names:
        raise ValueError(f"{file} has no column '{column}'; it has: {', '.join(names)}")
    kind = schema.field(column).type
    if str(kind) in ("binary", "large_binary", "binary_view"):
        return column
    fields = [kind.field(number).name for number in range(getattr(kind, "num_fields", 0))]
    if BYTES_FIELD not in fields:
        raise ValueError(f"{file}: column '{column}' is {kind}; expected bytes, or a struct with '{BYTES_FIELD}'")
    return f"{column}.{BYTES_FIELD}"


def _column(file: str, row: ParquetRow) -> "pyarrow.Array":
    """The bytes of one column and row group: read once, and kept while it is among those used last."""
    kept, key = _of_this_process(), (file, row.column, row.group)
    if key in kept.columns:
        kept.columns.move_to_end(key)
        return kept.columns[key]
    opened = open_parquet(file)
    if row.group >= opened.num_row_groups:
        raise ValueError(f"{file} has {opened.num_row_groups} row groups, asked for number {row.group} (from 0)")
    path = bytes_column(opened, file, row.column)
    table = opened.read_row_group(row.group, columns=[path], use_threads=False)
    array = table.column(0).combine_chunks()
    if path != row.column:
        array = array.field(BYTES_FIELD)
    kept.columns[key] = array
    kept.num_bytes += array.nbytes
    while kept.num_bytes > KEPT_BYTES and len(kept.columns) > 1:
        kept.num_bytes -= kept.columns.popitem(last=False)[1].nbytes
    return array


def _of_this_process() -> _Kept:
    """A forked loader opens its files itself: positions in them are shared with the parent."""
    global _kept
    if _kept.process != os.getpid():
        _kept = _Kept()
    return _kept
