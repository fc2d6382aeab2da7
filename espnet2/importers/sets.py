"""Shards in, data/train and data/dev out: each shard is read once, side by side, and a stopped call goes on."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path

from espnet2.data.audio.entry import is_in_store
from espnet2.data.audio.store import find_object
from espnet2.data.format.plan import HEADER_TABLE
from espnet2.data_prep.disk import sort_file
from espnet2.data_prep.scan import map_in_order
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.importers.cuts import read_cuts, read_shar
from espnet2.importers.item import Fields, Item, as_id
from espnet2.importers.parquet_shard import read_parquet
from espnet2.importers.shard_list import Shard
from espnet2.importers.tar_shard import read_tar
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_value
from espnet2.utils.progress import Progress

VERSION = 1  # of what is noted of a shard
READERS: dict[str, Callable[[str, Fields], Iterator[Item]]] = {
    "tar": read_tar,
    "parquet": read_parquet,
    "cuts": read_cuts,
    "shar": read_shar,
}
KEY_BITS = 32


@dataclass(frozen=True)
class Journal:
    """What was read of a shard, in a file of the work folder."""

    shard: Shard
    file: Path


def survey(shards: list[Shard], fields: Fields, work: Path, num_jobs: int) -> list[Journal]:
    """Read what was not read before.

    Raises:
        UserError: the first shard that cannot be read, with the place; what was read of others is kept.
    """
    journals = [Journal(shard, work / f"{_state(shard, fields)}.jsonl") for shard in shards]
    missing = [journal for journal in journals if not journal.file.exists()]
    progress = Progress("shards read", len(missing))
    for _ in map_in_order(partial(_read, fields=fields), missing, num_jobs, chunk=1):
        progress.add()
    return journals


def _read(journal: Journal, fields: Fields) -> None:
    with atomic_write(journal.file) as stream:
        for item in READERS[journal.shard.kind](journal.shard.path, fields):
            stream.write(item.to_line())


def _state(shard: Shard, fields: Fields) -> str:
    """Names a shard as it is now, and what is read of it."""
    if is_in_store(shard.path):
        state = find_object(shard.path).key
    else:
        stat = os.stat(shard.path)
        state = f"{stat.st_size} {stat.st_mtime_ns}"
    return hash_value([VERSION, *shard, state, asdict(fields)])


def items(journals: list[Journal]) -> Iterator[Item]:
    """All utterances, shard by shard."""
    for journal in journals:
        with open(journal.file, encoding="utf-8") as stream:
            yield from map(Item.from_line, stream)


def held_out_number(item: Item) -> int:
    """A number below 2^32 that decides the set: of the speaker, or of the utterance where the speaker is unknown."""
    digest = hashlib.sha256((item.speaker or item.key).encode()).digest()
    return int.from_bytes(digest[: KEY_BITS // 8], "big")


def held_out_limit(journals: list[Journal], share: float) -> int:
    """The number below which utterances are validated on: that of the share, or such that there is one speaker."""
    smallest = min(map(held_out_number, items(journals)), default=0)
    return max(round(share * (1 << KEY_BITS)), smallest + 1)


def write_set(folder: Path, journals: list[Journal], is_taken: Callable[[Item], bool]) -> None:
    """Write data/.new/<set> with the utterances that `is_taken` takes.

    Raises:
        UserError: none is left, or two have one name; the message says where they lie.
    """
    has_parts = any(item.start_seconds is not None for item in items(journals))
    num_seconds = 0.0
    headers = folder.with_name(f".{folder.name}.{HEADER_TABLE}")
    headers.parent.mkdir(parents=True, exist_ok=True)

    def utterances() -> Iterator[Utterance]:
        nonlocal num_seconds
        with open(headers, "w", encoding="utf-8", newline="\n") as stream:
            for item in filter(is_taken, items(journals)):
                utterance = as_utterance(item, has_parts=has_parts)
                header = item.header
                stream.write(f"{utterance.recording or utterance.utt_id} {' '.join(map(str, header))}\n")
                whole = header.num_samples / header.sample_rate
                start, end = item.start_seconds, item.end_seconds
                num_seconds += whole if start is None or end is None else end - start
                yield utterance

    try:
        summary = write_data_dir(folder, utterances())
        sort_file(headers, unique=True)
        headers.rename(folder / HEADER_TABLE)
    finally:
        headers.unlink(missing_ok=True)
    print(
        f"{folder.name}: {summary.num_utterances:,} utterances, {num_seconds / 3600:,.2f} hours, "
        f"{summary.num_speakers:,} speakers",
        flush=True,
    )


def as_utterance(item: Item, *, has_parts: bool) -> Utterance:
    """An item as Kaldi has it: the speaker is in front; unknown, the utterance is its own."""
    key, speaker = as_id(item.key), as_id(item.speaker or "")
    utt_id = key if not speaker or key.startswith(f"{speaker}-") else f"{speaker}-{key}"
    if not key:
        raise UserError(f"{item.where}: its name is empty")
    start = end = recording = None
    if has_parts:
        whole = item.header.num_samples / item.header.sample_rate
        start, end = item.start_seconds or 0.0, item.end_seconds
        end = ceil(whole * 1000) / 1000 if end is None else end  # `segments` has three decimals: nothing is cut off
        recording = as_id(item.entry)
    phones = item.phones
    return Utterance(
        utt_id, speaker or utt_id, item.entry, item.text, item.language, start, end, recording, phones=phones
    )
