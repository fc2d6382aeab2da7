"""Tables of one set in, the same tables for the utterances that are kept out, streamed: no table is held in memory."""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import iterate_table, write_table

# Travelling with the audio, in this order, where present: name in data/ -> name in dump/. What is called `text` in
# dump/<set> holds training targets, so a corpus's transcripts get another name.
COMPANIONS = {"utt2spk": "utt2spk", "utt2lang": "utt2lang", "text": "transcript", "phones.ctm": "phones.ctm"}


def table_keys(path: Path) -> Iterator[str]:
    """First column of a table."""
    return (key for key, _ in iterate_table(path))


def filtered(path: Path, keep: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The lines of a table whose keys are in `keep`; both sorted, a key may have several lines (phones.ctm) or none.

    Raises:
        UserError: the table is not sorted.
    """
    keys = iter(keep)
    current = next(keys, None)
    previous = ""
    for number, (key, value) in enumerate(iterate_table(path), 1):
        if key < previous:
            raise UserError(
                f"{path}:{number}: '{key}' comes after '{previous}'; expected C-locale order: sort the file"
            )
        previous = key
        while current is not None and current < key:
            current = next(keys, None)
        if key == current:
            yield key, value


def write_spk2utt(utt2spk: Path, spk2utt: Path) -> None:
    """Speakers in C-locale order, each with its utterances."""
    speakers: dict[str, list[str]] = defaultdict(list)
    for utt_id, speaker in iterate_table(utt2spk):
        speakers[speaker].append(utt_id)
    write_table(spk2utt, ((speaker, " ".join(speakers[speaker])) for speaker in sorted(speakers)))


@contextmanager
def tables_beside(folder: Path, *, last: str) -> Iterator[Path]:
    """A folder to write tables into; when the block ends without an error they move to `folder`, `last` last of all.

    The mark of completeness in `folder` (the file `last`) is taken away first, so a kill in between leaves no set that
    looks whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tables.") as name:
        beside = Path(name)
        yield beside
        (folder / last).unlink(missing_ok=True)
        written = sorted(path.name for path in beside.iterdir())
        for name in sorted(written, key=lambda name: name == last):
            os.replace(beside / name, folder / name)


def copy_companions(source: Path, target: Path, keys_from: Path, *, rename: bool) -> list[str]:
    """Write the companion tables of the utterances in the table `keys_from`, and spk2utt; returns the names written.

    Args:
        rename: data/ -> dump/ names (`text` becomes `transcript`); otherwise both sides have the dump's names.
    """
    names = []
    for data_name, dump_name in COMPANIONS.items():
        path = source / (data_name if rename else dump_name)
        if path.exists():
            write_table(target / dump_name, filtered(path, table_keys(keys_from)))
            names.append(dump_name)
    if "utt2spk" in names:
        write_spk2utt(target / "utt2spk", target / "spk2utt")
        names.append("spk2utt")
    return names


def remove_stale_companions(folder: Path, written: list[str]) -> None:
    """Drop companions that an earlier run wrote and the present source does not have."""
    for name in COMPANIONS.values():
        if name not in written:
            (folder / name).unlink(missing_ok=True)


def concatenate(paths: Iterable[Path], target: Path) -> None:
    """One file after the other."""
    with open(target, "wb") as output:
        for path in paths:
            with open(path, "rb") as stream:
                shutil.copyfileobj(stream, output, 1 << 20)
