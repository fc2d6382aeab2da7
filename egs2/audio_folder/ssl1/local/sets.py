"""The results of all inspections in, the tables of data/train and data/dev and the list of unusable files out."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inspection import NO_SPEECH, read_results
from speakers import NO_SPEAKER, Entry, file_id, sorted_speakers, with_speakers

from espnet2.data_prep.disk import sort_file
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write
from espnet2.utils.progress import Progress

NUM_NAMED = 5  # offenders an error names
DUPLICATE = "duplicate"
HARMLESS = (NO_SPEECH, DUPLICATE)  # reasons that say nothing about damage
KEY_BITS = 32
UNDETERMINED = "und"  # ISO 639-3


@dataclass(frozen=True)
class SetOptions:
    """Who speaks, and what is held out."""

    root: Path
    speaker_level: int  # see local/data.sh
    speakers: Path | None  # table of speakers
    language: str | None
    valid_share: float
    valid_by: str  # "speaker" or "file"
    max_unreadable_share: float
    drop_duplicates: bool


@dataclass
class Survey:
    """What one look at all files told."""

    num_files: int = 0
    num_usable: int = 0
    has_parts: bool = False  # at least one file is cut: `segments` is needed
    has_language: bool = False  # at least one file has a language: `utt2lang` is needed in both sets
    smallest_key: int = 1 << KEY_BITS  # held out if nothing else is
    reasons: Counter = field(default_factory=Counter)


def write_sets(results: Path, work: Path, output_dir: Path, options: SetOptions) -> None:
    """Write output_dir/{train,dev} and output_dir/unusable.tsv.

    Raises:
        UserError: too much is unreadable, one of the sets would be empty, or the table of speakers is malformed.
    """
    table = sorted_speakers(options.speakers, options.root, work) if options.speakers else None
    duplicates = list_duplicates(results, work) if options.drop_duplicates else None

    def entries() -> Iterator[Entry]:
        rows = with_speakers(read_results(results), table, options.speaker_level, options.language)
        return mark_duplicates(rows, duplicates)

    survey = look_through(entries(), output_dir / "unusable.tsv", options)
    limit = max(round(options.valid_share * (1 << KEY_BITS)), survey.smallest_key + 1)
    progress = Progress("files written to tables", 2 * survey.num_files)
    for name, held_out in (("train", False), ("dev", True)):
        seconds = Counter()

        def part(held_out: bool = held_out, seconds: Counter = seconds) -> Iterator[Utterance]:
            for entry in entries():
                progress.add()
                if not entry.file.reason and (key_of(entry, options) < limit) is held_out:
                    yield from utterances(entry, options.root, survey, seconds)

        try:
            summary = write_data_dir(output_dir / name, part())
        except UserError as error:
            if seconds["number"]:
                raise
            raise UserError(
                f"{error}: all {survey.num_usable:,} usable files are in the other set; change --valid_share "
                f"{options.valid_share}, or hold out files instead of speakers: --valid_by file"
            ) from None
        print(
            f"{name}: {summary.num_utterances:,} utterances, {seconds['seconds'] / 3600:,.2f} hours, "
            f"{summary.num_speakers:,} speakers",
            flush=True,
        )
    for path in filter(None, (table, duplicates)):
        path.unlink()


def look_through(entries: Iterator[Entry], unusable: Path, options: SetOptions) -> Survey:
    """List what cannot be used, with the reason; stop if too much is damaged.

    Raises:
        UserError: more than `max_unreadable_share` of the files cannot be read, or none can be used.
    """
    survey, named = Survey(), []
    with atomic_write(unusable) as stream:
        for entry in entries:
            survey.num_files += 1
            if not entry.file.reason:
                survey.num_usable += 1
                survey.has_parts |= bool(entry.file.parts)
                survey.has_language |= entry.language is not None
                survey.smallest_key = min(survey.smallest_key, key_of(entry, options))
                continue
            path = entry.file.path.encode("utf-8", "backslashreplace").decode().replace("\t", "\\t")
            stream.write(f"{path}\t{entry.file.reason}\t{entry.file.detail.encode('utf-8', 'replace').decode()}\n")
            survey.reasons[entry.file.reason] += 1
            if entry.file.reason not in HARMLESS and len(named) < NUM_NAMED:
                named.append(f"{path} ({entry.file.reason})")
    listed = ", ".join(f"{count:,} {reason}" for reason, count in sorted(survey.reasons.items())) or "none"
    print(f"{survey.num_files:,} files; left out: {listed}; listed in unusable.tsv", flush=True)
    num_damaged = sum(count for reason, count in survey.reasons.items() if reason not in HARMLESS)
    if num_damaged > options.max_unreadable_share * survey.num_files:
        hint = "; --speakers lacks them" if survey.reasons[NO_SPEAKER] else ""
        raise UserError(
            f"{options.root}: {num_damaged:,} of {survey.num_files:,} files cannot be used, more than "
            f"--max_unreadable_share {options.max_unreadable_share}: {', '.join(named)}{hint}; all are in {unusable}"
        )
    if not survey.num_usable:
        raise UserError(f"{options.root}: none of {survey.num_files:,} files can be used; see {unusable}")
    return survey


def key_of(entry: Entry, options: SetOptions) -> int:
    """A number below 2^32 that decides the set: of the speaker or of the file, whatever else is in the folder."""
    name = entry.speaker if options.valid_by == "speaker" and entry.speaker else entry.file.path
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[: KEY_BITS // 8], "big")


def utterances(entry: Entry, root: Path, survey: Survey, totals: Counter) -> Iterator[Utterance]:
    """A file as one utterance, or one for each of its parts."""
    file, name = entry.file, file_id(entry.file.path)
    language = (entry.language or UNDETERMINED) if survey.has_language else None
    speaker = entry.speaker or name
    recording = f"{speaker}-{name}" if entry.speaker else name
    spans = [(part.start_seconds, part.end_seconds) for part in file.parts] or [(0.0, file.seconds)]
    for start, end in spans:
        totals["number"] += 1
        totals["seconds"] += end - start
        wav = str(root / file.path)
        if not survey.has_parts:
            yield Utterance(recording, speaker, wav, language=language)
            continue
        utt_id = f"{recording}-{round(1000 * start):09d}-{round(1000 * end):09d}"
        yield Utterance(utt_id, speaker, wav, None, language, start, end, recording)


def list_duplicates(results: Path, work: Path) -> Path:
    """Write the paths of all files whose contents an earlier path has too, in byte order."""
    contents, duplicates = work / "contents", work / "duplicates"
    with open(contents, "wb") as stream:
        for one in read_results(results):
            if one.content and not one.reason:
                stream.write(f"{one.content} {one.path}\n".encode())
    sort_file(contents)
    previous = b""
    with open(contents, "rb") as stream, open(duplicates, "wb") as target:
        for line in stream:
            content, _, path = line.partition(b" ")
            if content == previous:
                target.write(path)
            previous = content
    sort_file(duplicates)
    contents.unlink()
    return duplicates


def mark_duplicates(entries: Iterator[Entry], duplicates: Path | None) -> Iterator[Entry]:
    """Give the files listed in `duplicates` a reason to be left out."""
    if duplicates is None:
        yield from entries
        return
    with open(duplicates, encoding="utf-8", newline="\n") as stream:
        next_path = next(stream, "")[:-1]
        for entry in entries:
            if entry.file.path == next_path:
                next_path = next(stream, "")[:-1]
                entry = entry._replace(file=entry.file._replace(reason=DUPLICATE, detail="same bytes as another file"))
            yield entry
