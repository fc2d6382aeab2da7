"""phones.ctm, TextGrids or tsv tables in, the phones of a set's utterances out; what does not fit its audio is said."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from espnet2.data.choose import choose_share
from espnet2.data.index import AudioIndex
from espnet2.data_prep.textgrid import phones_of, read_textgrid
from espnet2.units.quality import Alignment, Alignments, read_alignments
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file

CTM, TSV, TEXTGRID = ".ctm", ".tsv", ".textgrid"
# Names of the tier with the phones: of the Montreal Forced Aligner ("<speaker> - phones" where a file has several), of
# others who align, and of WebMAUS. Another one is named behind the folder: <folder>:tier=<name>.
TIERS = ("phones", "phone", "phonemes", "segments", "mau")
TIER_OPTION = ":tier="
TSV_FRAMES_PER_SECOND = 100  # of "<utt> <phone>,..." tables: fairseq, examples/hubert/measure_teacher_quality.py
BEYOND_SECONDS = 0.1  # aligners round up to their frames (10 ms to 80 ms), and some audio was trimmed since
MOST_BEYOND = 0.05  # share of the utterances whose phones may end behind their audio; more is not of this audio
MOST_UTTERANCES = 20_000  # of a set: tens of hours; the phones of a thousand hours would take minutes and gigabytes
LEAST_COVERED = 0.5  # share of the audio with phones below which the notes say so


@dataclass(frozen=True)
class PhoneFiles:
    """Where the phones of one set are."""

    paths: tuple[Path, ...]  # a table, or the TextGrids of single utterances
    utt_ids: tuple[str, ...]  # of the TextGrids; () for a table
    origin: str  # for messages
    tier: str = ""  # of the TextGrids; "": one of TIERS

    @property
    def hash(self) -> str:
        """Of the contents."""
        return hash_bytes(*map(hash_file, self.paths), *self.utt_ids, *((self.tier,) if self.tier else ()))


@dataclass(frozen=True)
class SetPhones:
    """The phones of a set, all within its audio."""

    alignments: Alignments  # utterances of the set only
    origin: str  # for messages
    notes: tuple[str, ...]  # what was left out, in plain words


def find_phones(dump_set: str | Path, source: str | Path | None = None) -> PhoneFiles | None:
    """Look for the phones of a set: in `source` if it is given and holds some, else the set's own phones.ctm.

    Args:
        source: a table for all sets, or a folder with <set>.ctm, <set>.tsv, <set>/phones.ctm, <set>/phones.tsv,
            phones.ctm, phones.tsv, or with TextGrids: <utt>.TextGrid, or <speaker>/<file>.TextGrid as the Montreal
            Forced Aligner writes them, where the utterance is <file>, <speaker>-<file> or <speaker>_<file>. Behind
            it ":tier=<name>" names the tier of the TextGrids.

    Returns:
        None where neither has any.

    Raises:
        UserError: `source` does not exist, or holds nothing of a set that has phones of its own; or two TextGrids are
            of one utterance.
    """
    dump_set = Path(dump_set)
    set_table = dump_set / "phones.ctm"
    if source is not None:
        origin, _, tier = str(source).partition(TIER_OPTION)
        phones = _find_in(Path(origin), dump_set, tier)
        if phones is None and set_table.is_file():
            raise UserError(
                f"{origin}: no alignments of {dump_set} in it (expected {dump_set.name}.ctm, {dump_set.name}.tsv or "
                f"TextGrids with the names of its utterances); the set has {set_table}: leave out the option to take "
                f"that, or put a link to it into the folder: ln -s {set_table.absolute()} {origin}/{dump_set.name}.ctm"
            )
        return phones
    return PhoneFiles((set_table,), (), str(set_table)) if set_table.is_file() else None


def _find_in(source: Path, dump_set: Path, tier: str) -> PhoneFiles | None:
    if not source.exists():
        raise UserError(f"{source}: no such file or folder of phone alignments (--alignment_phoneme_dir)")
    if source.is_file():
        return PhoneFiles((source,), (), str(source), tier)
    set_path = source / dump_set.name
    stems = (set_path, set_path / "phones", source / "phones")
    for table in (stem.with_name(stem.name + suffix) for stem in stems for suffix in (CTM, TSV)):
        if table.is_file():
            return PhoneFiles((table,), (), str(table))
    folder = set_path if set_path.is_dir() else source
    index = AudioIndex.open(dump_set)
    matched = _match((index.utt_id(row) for row in range(len(index))), _textgrids(folder))
    return PhoneFiles(tuple(matched.values()), tuple(matched), f"TextGrids in {folder}", tier) if matched else None


def _textgrids(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == TEXTGRID)


def _match(utt_ids: Iterable[str], paths: Sequence[Path]) -> dict[str, Path]:
    """Utterance -> its TextGrid."""
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        for name in (path.stem, f"{path.parent.name}-{path.stem}", f"{path.parent.name}_{path.stem}"):
            by_name.setdefault(name, []).append(path)
    grid_of = {}
    for utt_id in utt_ids:
        candidates = by_name.get(utt_id, [])
        if len(candidates) > 1:
            raise UserError(f"{candidates[0]} and {candidates[1]}: both are of the utterance {utt_id}; remove one")
        if candidates:
            grid_of[utt_id] = candidates[0]
    return grid_of


def read_phones(files: PhoneFiles, dump_set: str | Path) -> SetPhones:
    """Read the phones of a set, and leave out utterances whose phones cannot be of their audio.

    Of a large set only MOST_UTTERANCES are looked at, those that every evaluation takes first.

    Raises:
        UserError: a malformed file; none of its utterances is in the set; or many end behind the audio.
    """
    index = AudioIndex.open(dump_set)
    share = min(1.0, MOST_UTTERANCES / max(1, len(index)))
    rows = choose_share(index, np.arange(len(index)), portion=share, seed=0)
    names = [index.utt_id(row) for row in rows]
    alignments = _read(files, set(names) if share < 1 else None)
    lengths = dict(zip(names, (index.num_samples[rows] / index.sample_rate).tolist(), strict=True))
    seconds = {utt_id: length for utt_id, length in lengths.items() if utt_id in alignments.utterances}
    if not seconds:
        raise UserError(
            f"{files.origin}: holds none of the utterances of {dump_set}; it begins with "
            f"'{next(iter(alignments.utterances))}', the set with '{index.utt_id(0)}': is it of another corpus?"
        )
    fitting, notes = _fitting(alignments, seconds, files.origin)
    missing = [utt_id for utt_id in names if utt_id not in seconds]
    if missing:
        notes.insert(0, f"{files.origin}: no phones for {_named(missing)} of {len(names):,} utterances of {dump_set}; "
                     "these are left out of all figures that need phones")  # fmt: skip
    known = set(names)
    unknown = [utt_id for utt_id in alignments.utterances if utt_id not in known]
    if (
        unknown and share == 1.0 and files.paths == (Path(dump_set) / "phones.ctm",)
    ):  # tables of several sets are common
        notes.append(f"{files.origin}: holds {_named(unknown)} utterances that are not in {dump_set}: is it damaged?")
    covered = sum(float((alignment.ends - alignment.starts).sum()) for alignment in fitting.values())
    share = covered / sum(seconds[utt_id] for utt_id in fitting)
    if share < LEAST_COVERED:
        notes.append(f"{files.origin}: its phones cover only {share:.0%} of the audio; frames without do not count")
    return SetPhones(Alignments(fitting, alignments.phones), files.origin, tuple(notes))


def _fitting(
    alignments: Alignments, seconds: Mapping[str, float], origin: str
) -> tuple[dict[str, Alignment], list[str]]:
    """Utterances whose phones end with their audio, and a note about the others."""
    utterances = {utt_id: alignments.utterances[utt_id] for utt_id in seconds}
    ends = {utt_id: float(alignment.ends.max()) for utt_id, alignment in utterances.items()}
    beyond = [utt_id for utt_id, end in ends.items() if end > seconds[utt_id] + BEYOND_SECONDS]
    if not beyond:
        return utterances, []
    first = beyond[0]
    example = f"{first} has {seconds[first]:.2f} s of audio, its phones end at {ends[first]:.2f} s"
    if len(beyond) > MOST_BEYOND * len(utterances):
        raise UserError(
            f"{origin}: the phones of {len(beyond):,} of {len(utterances):,} utterances end behind their audio "
            f"({example}); they are of other audio, or their times are not seconds: align this audio again"
        )
    left = {utt_id: alignment for utt_id, alignment in utterances.items() if utt_id not in set(beyond)}
    return left, [f"{origin}: left out {_named(beyond)} utterances whose phones end behind their audio ({example})"]


def _named(utt_ids: Sequence[str]) -> str:
    """
    >>> _named(["a", "b", "c", "d"])
    '4 (a, b, c, ...)'
    """
    return f"{len(utt_ids):,} ({', '.join(utt_ids[:3])}{', ...' if len(utt_ids) > 3 else ''})"


def _read(files: PhoneFiles, utt_ids: Collection[str] | None) -> Alignments:
    if files.utt_ids:
        grids = zip(files.utt_ids, files.paths, strict=True)
        chosen = ((utt_id, path) for utt_id, path in grids if not utt_ids or utt_id in utt_ids)
        return _collect(((utt_id, _read_tier(path, files.tier)) for utt_id, path in chosen), files.origin)
    (path,) = files.paths
    suffix = path.suffix.lower()
    if suffix == TSV:
        return _collect(_read_tsv(path), files.origin)
    if suffix == TEXTGRID:
        return _collect([(path.stem, _read_tier(path, files.tier))], files.origin)
    return read_alignments(path, utt_ids)


def _read_tier(path: Path, tier: str = "") -> Sequence[tuple[float, float, str]]:
    """(start s, end s, phone) of the tier with the phones: the named one, or the only one with a usual name."""
    tiers = read_textgrid(path)
    names = [tier] if tier in tiers else [] if tier else _usual(tiers)
    if len(names) != 1:
        expected = f"'{tier}'" if tier else f"one of {', '.join(TIERS)}"
        raise UserError(
            f"{path}: expected the tier {expected}, found {len(names)} of these in {', '.join(tiers) or 'no tiers'}; "
            f"name another one behind the folder: --alignment_phoneme_dir <folder>{TIER_OPTION}<name>"
        )
    return phones_of(tiers[names[0]], path)


def _usual(names: Iterable[str]) -> list[str]:
    """
    >>> _usual(["words", "Anna - phones", "MAU "])
    ['Anna - phones', 'MAU ']
    """
    return [name for name in names if name.lower().rpartition(" - ")[2].strip() in TIERS]


def _read_tsv(path: Path) -> Iterator[tuple[str, Sequence[tuple[float, float, str]]]]:
    """Lines "<utt> TAB <phone>,<phone>,..." (one per 10 ms), or "<utt> TAB <start s> TAB <end s> TAB <phone>"."""
    rows: dict[str, list[tuple[float, float, str]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) == 4 and number == 1 and not _is_number(fields[1]):  # the names of the columns
            continue
        if len(fields) == 4 and _is_number(fields[1]) and _is_number(fields[2]):
            rows.setdefault(fields[0], []).append((float(fields[1]), float(fields[2]), fields[3]))
        elif len(fields) == 2 and fields[0] not in rows and fields[1]:
            rows[fields[0]] = _runs(fields[1].split(","))
        else:
            raise UserError(
                f"{path}:{number}: expected '<utt> TAB <phone>,<phone>,...' with a phone per 10 ms (once for each "
                f"utterance), or '<utt> TAB <start s> TAB <end s> TAB <phone>', found '{line[:60]}'"
            )
    yield from rows.items()


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _runs(frames: Sequence[str]) -> list[tuple[float, float, str]]:
    """Phones of equal frames.

    >>> _runs(["a", "a", "b"])
    [(0.0, 0.02, 'a'), (0.02, 0.03, 'b')]
    """
    values = np.array(frames)
    bounds = np.flatnonzero(np.r_[True, values[1:] != values[:-1], True])
    rate = TSV_FRAMES_PER_SECOND
    return [(int(a) / rate, int(b) / rate, frames[int(a)]) for a, b in pairwise(bounds)]


def _collect(rows: Iterable[tuple[str, Sequence[tuple[float, float, str]]]], origin: str) -> Alignments:
    """Number the phones, and check that they follow each other."""
    ids: dict[str, int] = {}
    utterances = {}
    for utt_id, phones in rows:
        if not phones:
            continue
        starts, ends = np.array([phone[0] for phone in phones]), np.array([phone[1] for phone in phones])
        if (ends < starts).any() or (np.diff(starts) < 0).any() or starts[0] < 0:
            raise UserError(f"{origin}: the phones of {utt_id} are not in order of time")
        numbers = np.array([ids.setdefault(phone[2], len(ids)) for phone in phones])
        utterances[utt_id] = Alignment(starts, ends, numbers)
    if not utterances:
        raise UserError(f"{origin}: no phones in it")
    return Alignments(utterances, tuple(ids))
