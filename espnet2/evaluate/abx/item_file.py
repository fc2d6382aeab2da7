"""An official .item file in (Libri-light, ZeroSpeech 2017 and 2021), its items as stretches of frames out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from espnet2.evaluate.abx.clock import Clock
from espnet2.evaluate.abx.items import Item, Items, group_items
from espnet2.evaluate.abx.rule import CONDITIONS, PHONEME, TRIPHONE, Condition
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file
from espnet2.utils.show import first_names

HEADER = ("#file", "onset", "offset", "#phone", "prev-phone", "next-phone", "speaker")
ALIASES = {"talker": "speaker"}  # of ABXpy's older files
SUFFIX = ".item"
# Of the audio behind the last window of a model nothing is seen; aligners round up to their step besides.
BEYOND_SECONDS = 0.1
MOST_MISSING = 0.05  # share of the files of an item file that a set may lack, or whose audio may end too early
OVERLAP_SECONDS = 0.001


class ItemRow(NamedTuple):
    """A line of the file."""

    onset: float  # seconds, of the stretch
    offset: float
    phone: str
    before: str  # the phone before it
    after: str
    speaker: str
    number: int  # of the line


class Recording(NamedTuple):
    """What features there are of one file."""

    utterance: int  # which of the utterances that are compared
    num_frames: int
    seconds: float


@dataclass(frozen=True)
class ItemFile:
    """The items of one file."""

    path: Path
    rows: Mapping[str, Sequence[ItemRow]]  # file -> its items, in the order of the file

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def hash(self) -> str:
        return hash_file(self.path)

    @cached_property
    def span(self) -> str:
        """Triphones overlap their neighbours, phonemes do not; a name of the file that says it wins."""
        named = [span for span in (TRIPHONE, PHONEME) if span in self.name.lower()]
        if len(named) == 1:
            return named[0]
        for rows in self.rows.values():
            times = sorted((row.onset, row.offset) for row in rows)
            if any(start < end - OVERLAP_SECONDS for (_, end), (start, _) in pairwise(times)):
                return TRIPHONE
        return PHONEME

    @property
    def conditions(self) -> list[Condition]:
        """Those that ZeroSpeech 2021 compares such items in."""
        return [condition for condition in CONDITIONS.values() if condition.span == self.span]

    def chosen(self, names: Sequence[str], option: str) -> list[Condition]:
        """The conditions of these names; those of ZeroSpeech 2021 where none is named.

        Args:
            option: that names them, for messages.

        Raises:
            UserError: a condition is of other stretches than these items.
        """
        for condition in [CONDITIONS[name] for name in names]:
            if condition.span != self.span:
                raise UserError(
                    f"{self.path}: its items are {self.span}s, {option} asks for {condition.name}: leave the option "
                    "out, or give the file whose items fit"
                )
        return [CONDITIONS[name] for name in names] or self.conditions

    @classmethod
    def read(cls, path: Path) -> "ItemFile":
        """Read a file: a header that names the columns, then a line per item, fields apart by blanks.

        Raises:
            UserError: no such file, another header, a line that does not fit it, or no items.
        """
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise UserError(f"{path}: no such file of ABX items (abx.items)") from None
        except UnicodeDecodeError:
            raise UserError(f"{path}: not UTF-8: is it a file of ABX items? Expected {' '.join(HEADER)}") from None
        names = [ALIASES.get(name, name) for name in lines[0].split()] if lines else []
        if sorted(names) != sorted(HEADER):
            raise UserError(
                f"{path}:1: expected the columns '{' '.join(HEADER)}', found '{(lines[0] if lines else '')[:80]}'"
            )
        order = [names.index(name) for name in HEADER]
        rows: dict[str, list[ItemRow]] = {}
        for number, line in enumerate(lines[1:], 2):
            fields = line.split()
            if not fields:
                continue
            if len(fields) != len(HEADER):
                raise UserError(
                    f"{path}:{number}: expected {len(HEADER)} fields ({' '.join(names)}), found '{line[:80]}'"
                )
            file, onset, offset, phone, before, after, speaker = (fields[column] for column in order)
            times = _times(path, number, onset, offset)
            rows.setdefault(file, []).append(ItemRow(*times, phone, before, after, speaker, number))
        if not rows:
            raise UserError(f"{path}: no items in it")
        return cls(path, rows)

    def items(
        self,
        recordings: Mapping[str, Recording],
        condition: Condition,
        clock: Clock,
        *,
        frame_rate: float,
        max_group: int | None,
        seed: int = 0,
    ) -> Items:
        """Cut the items out of the frames of the files that there are.

        Args:
            recordings: file -> its frames, of `match`.
            max_group: as for `find_items`.
        """
        dropped: Counter[str] = Counter()
        pieces = self._pieces(recordings, condition, clock, frame_rate, seed, dropped)
        return group_items(pieces, max_group, dropped)

    def _pieces(
        self,
        recordings: Mapping[str, Recording],
        condition: Condition,
        clock: Clock,
        frame_rate: float,
        seed: int,
        dropped: Counter[str],
    ) -> Iterator[Item]:
        for file, recording in recordings.items():
            rows = self.rows[file]
            onsets, offsets = (np.array(times) for times in zip(*(row[:2] for row in rows), strict=True))
            bounds = zip(*clock.frames(onsets, offsets, frame_rate, recording.num_frames), strict=True)
            for row, (first, stop) in zip(rows, bounds, strict=True):
                if stop <= first:
                    dropped["frame"] += 1
                    continue
                context = f"{row.before} {row.after}" if condition.context == "within" else ""
                order = hash_bytes(str(seed), file, str(row.number))
                yield Item(context, row.speaker, row.phone, order, recording.utterance, int(first), int(stop - first))

    def match(
        self, find: Callable[[str], Recording | None], source: str, example: str
    ) -> tuple[dict[str, Recording], list[str]]:
        """File -> its frames, and notes on what is left out.

        Args:
            find: the frames of a file, None where there are none.
            source: where they come from, for messages.
            example: a name that is there.

        Raises:
            UserError: many files are not there, or end before their items do: it is another corpus.
        """
        recordings = {file: recording for file in self.rows if (recording := find(file)) is not None}
        missing = [file for file in self.rows if file not in recordings]
        total = len(self.rows)
        if len(missing) > MOST_MISSING * total:
            raise UserError(
                f"{self.path}: {len(missing):,} of its {total:,} files ({first_names(missing, 3)}) are not in "
                f"{source}, which has {example}, for example: these items are of another corpus, or of another part"
            )
        ends = {file: max(row.offset for row in self.rows[file]) for file in recordings}
        beyond = [file for file, end in ends.items() if end > recordings[file].seconds + BEYOND_SECONDS]
        if len(beyond) > MOST_MISSING * total:
            first = beyond[0]
            raise UserError(
                f"{self.path}: the items of {len(beyond):,} of {total:,} files end behind their audio ({first} has "
                f"{recordings[first].seconds:.2f} s, its items end at {ends[first]:.2f} s): {source} is other audio"
            )
        notes = [
            f"{self.path}: {len(files):,} of {total:,} files ({first_names(files, 3)}) {what}; their items are left "
            "out, so that the figures are not those of the whole file"
            for files, what in ((missing, f"are not in {source}"), (beyond, "end before their last item does"))
            if files
        ]
        return {file: kept for file, kept in recordings.items() if file not in set(beyond)}, notes


def _times(path: Path, number: int, onset: str, offset: str) -> tuple[float, float]:
    try:
        times = float(onset), float(offset)
    except ValueError:
        times = (1.0, 0.0)
    if not 0 <= times[0] < times[1] < float("inf"):
        raise UserError(
            f"{path}:{number}: expected an onset and a later offset in seconds, found '{onset}' and '{offset}'"
        )
    return times


def find_item_files(paths: Sequence[Path], set_name: str) -> list[ItemFile]:
    """The files, and of folders those of a set: <set>.item, triphone-<set>.item, phoneme-<set>.item.

    `_` and `-` are alike in the names of sets: dump/dev_clean has dev-clean.item.

    Raises:
        UserError: a folder has none of the set; and of `ItemFile.read`.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        known = sorted(path.rglob(f"*{SUFFIX}"))
        key = set_name.replace("_", "-")
        names = {key, f"{TRIPHONE}-{key}", f"{PHONEME}-{key}"}
        chosen = [file for file in known if file.stem.replace("_", "-") in names]
        if not chosen:
            shown = first_names([file.name for file in known], 4) if known else "no .item file"
            raise UserError(
                f"{path}: no items of {set_name} in it (expected {key}{SUFFIX}, {TRIPHONE}-{key}{SUFFIX} or "
                f"{PHONEME}-{key}{SUFFIX}; it has {shown}): name a file: abx.items=<file>"
            )
        files += chosen
    return [ItemFile.read(file) for file in files]
