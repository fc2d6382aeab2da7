"""A Parquet file (Hugging Face's `Audio` feature, or a column of bytes) in, its utterances out."""

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from espnet2.data.audio.entry import ParquetRow, is_in_store
from espnet2.data.audio.parquet import bytes_column, cell_bytes, open_parquet
from espnet2.importers.item import Fields, Item, header_at
from espnet2.utils.errors import UserError


def read_parquet(path: str, fields: Fields) -> Iterator[Item]:
    """The utterances of a file, a row group at a time.

    Raises:
        UserError: the file is missing or damaged, lacks a column, or a row has no audio.
    """
    try:
        opened = open_parquet(path)
        column = bytes_column(opened, path, fields.audio)
        names = list(opened.schema_arrow.names)
        for name in filter(None, (fields.key, fields.text, fields.speaker, fields.language)):
            if name not in names:
                raise ValueError(f"{path} has no column '{name}'; it has: {', '.join(names)}")
        for group in range(opened.num_row_groups):
            yield from _rows(path, fields, group, has_path=column != fields.audio)
    except FileNotFoundError:
        raise UserError(f"{path}: no such shard") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: {' '.join(str(error).removeprefix(path).lstrip(':').split())}") from None


def _rows(path: str, fields: Fields, group: int, *, has_path: bool) -> Iterator[Item]:
    texts = [name for name in (fields.key, fields.text, fields.speaker, fields.language) if name]
    columns = [*texts, *([f"{fields.audio}.path"] if has_path else [])]
    table = open_parquet(path).read_row_group(group, columns=columns, use_threads=False) if columns else None
    values: dict[str, list[object]] = (
        {name: table.column(name).to_pylist() for name in texts} if table is not None else {}
    )
    cells: list[dict[str, str | None] | None] = []
    if has_path and table is not None and fields.audio in table.column_names:
        cells = table.column(fields.audio).to_pylist()
    for row in range(open_parquet(path).metadata.row_group(group).num_rows):
        where = f"{path}, row group {group}, row {row}"
        file = (cells[row] or {}).get("path") if cells else None
        entry = _entry(path, ParquetRow(fields.audio, group, row), file, where)
        key = _text(values, fields.key, row) if fields.key else PurePosixPath(file).stem if file else None
        if fields.key and not key:
            raise UserError(f"{where}: column '{fields.key}' is empty; expected the utterance's name")
        yield Item(
            key or f"{PurePosixPath(path).stem}_{group:05d}_{row:05d}",
            entry,
            header_at(entry, where),
            where,
            text=_text(values, fields.text, row),
            speaker=_text(values, fields.speaker, row),
            language=_text(values, fields.language, row),
        )


def _entry(path: str, row: ParquetRow, file: str | None, where: str) -> str:
    """The row itself, or the file that it names where it holds no bytes."""
    try:
        cell_bytes(path, row)
    except ValueError:
        beside = (
            file
            if file and (os.path.isabs(file) or is_in_store(file))
            else os.path.join(os.path.dirname(path), file or "")
        )
        if file and (is_in_store(beside) or os.path.exists(beside)):
            return beside
        raise UserError(f"{where}: no audio: its bytes are empty, and its path is {file!r}") from None
    return f"{path}:{row.column}[{row.group},{row.row}]"


def _text(values: dict[str, list[object]], name: str, row: int) -> str | None:
    value = values[name][row] if name else None
    return None if value is None else str(value)
