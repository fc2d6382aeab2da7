"""The card of an index, index.json: what names the index and says whether it is current."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from espnet2.utils.files import hash_bytes, hash_file

FORMAT_VERSION = 1
INDEX_NAME = "index"  # the folder inside dump/<set>
NAMES_AND_LENGTHS = ("wav.scp", "utt2num_samples")  # what the hash of older indexes covers
HASHED_TABLES = (*NAMES_AND_LENGTHS, "utt2stats")  # what the index's hash covers: also what the samples are


class OfAllVersions(TypedDict):
    """What every index.json holds."""

    format_version: int
    num_utterances: int
    total_samples: int
    sample_rate: int  # Hz
    languages: list[str]  # by the numbers in lang_ids.npy
    root: str  # where relative paths start, seen from the index
    hash: str  # of the contents of the tables in `hash_covers`
    sources_hash: str  # of all tables
    stamps: dict[str, list[int] | None]  # of `table_stamps`


class IndexJson(OfAllVersions, total=False):
    """Contents of index.json; older indexes lack what stands here."""

    hash_covers: list[str]  # without it: wav.scp and utt2num_samples
    columns_hash: str  # of the other files of the folder


def read_index_card(directory: Path) -> IndexJson:
    """The contents of index.json, with all that an index needs.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of another version.
    """
    properties: IndexJson = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    version = properties.get("format_version") if isinstance(properties, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"index version {version}, expected {FORMAT_VERSION}")
    kinds = {"num_utterances": int, "total_samples": int, "sample_rate": int, "languages": list, "root": str}
    kinds |= {"hash": str, "sources_hash": str, "stamps": dict}
    for name, kind in kinds.items():
        if not isinstance(properties.get(name), kind):
            raise ValueError(f"index.json has {properties.get(name)!r} as {name}")
    if covered_tables(properties) not in (HASHED_TABLES, NAMES_AND_LENGTHS):
        raise ValueError(f"index.json has {properties['hash_covers']!r} as hash_covers")
    return properties


def covered_tables(properties: IndexJson) -> tuple[str, ...]:
    """The tables that an index's hash covers."""
    covers = properties.get("hash_covers", NAMES_AND_LENGTHS)
    return tuple(covers) if isinstance(covers, list | tuple) else ()


def table_stamps(dump_set: Path) -> dict[str, list[int] | None]:
    """Size in bytes and time of change in ns of each hashed table: equal stamps save hashing the contents again."""
    stamps: dict[str, list[int] | None] = {}
    for name in HASHED_TABLES:
        path = dump_set / name
        stat = path.stat() if path.exists() else None
        stamps[name] = [stat.st_size, stat.st_mtime_ns] if stat else None
    return stamps


def tables_hash(dump_set: Path, tables: Sequence[str] = HASHED_TABLES) -> str:
    """The content hash that names an index."""
    return hash_bytes(*(hash_file(dump_set / name) for name in tables))


def sources_hash(dump_set: Path) -> str:
    """The hash of all that an index is made from; computed as it always was, so that older indexes stay current."""
    others = (hash_file(path) if path.exists() else "" for path in (dump_set / "utt2stats", dump_set / "utt2lang"))
    return hash_bytes(tables_hash(dump_set, NAMES_AND_LENGTHS), *others)
