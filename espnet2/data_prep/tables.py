"""Utterances in any order in, a sorted Kaldi data folder out; memory stays bounded for millions of them."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.disk import sort_file
from espnet2.utils.errors import UserError

NUM_NAMED = 5  # offenders an error names


class Phone(NamedTuple):
    """One phone of an alignment."""

    start_seconds: float
    end_seconds: float
    label: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: a whole file, or with `start` and `end` a part of one.

    utt_id has to begin with the speaker ("<speaker>-<rest>"): Kaldi sorts by both. `phones` count from the start of the
    utterance, not of the recording.
    """

    utt_id: str
    speaker: str
    wav: str  # a file, or a command that ends in "|"
    text: str | None = None  # "": it has no words; None: the corpus has no transcripts
    language: str | None = None
    start: float | None = None  # seconds into the recording
    end: float | None = None
    recording: str | None = None  # its id in wav.scp; needed with start and end
    gender: str | None = None  # of the speaker, "m" or "f"
    phones: tuple[Phone, ...] = ()


class Summary(NamedTuple):
    """What a data folder holds."""

    num_utterances: int
    num_speakers: int


@dataclass(frozen=True)
class _Optional:
    """Which of the optional tables were asked for by at least one utterance."""

    text: bool
    language: bool
    segments: bool
    gender: bool
    phones: bool


def write_data_dir(folder: str | Path, utterances: Iterable[Utterance]) -> Summary:
    """Write a Kaldi data folder: wav.scp, utt2spk, spk2utt, and what else the utterances have.

    The utterances may come from a generator, in any order: they are sorted on the disk. segments, text, utt2lang and
    phones.ctm are written if at least one utterance has them; a `text` of None then is an empty line, a language of
    None "und"; spk2gender if every speaker has one. The folder appears whole or not at all, and replaces one that is
    there.

    Args:
        folder: such as data/.new/train; what it is called is the name of the set in messages.

    Raises:
        UserError: no utterance, the same id twice, one recording with two files, a speaker with two genders, or an id
            or path that a table cannot hold.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (work / "tables").mkdir(mode=0o777)
        with open(work / "rows", "w", encoding="utf-8", newline="\n") as stream:
            optional = _write_rows(stream, utterances, folder)
        count = _write_by_utterance(work, folder, optional)
        _write_recordings(work, folder)
        speakers = _write_speakers(work, folder, optional.gender)
        replace_folder(work / "tables", folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Summary(count, speakers)


def replace_folder(new: Path, folder: Path) -> None:
    """Give `new` the name `folder`, in place of what has it; they lie on the same disk."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write_rows(stream, utterances: Iterable[Utterance], folder: Path) -> _Optional:
    """One line per utterance, fields separated by tabs, the id first: sorting whole lines sorts by id."""
    text = language = segments = gender = phones = False
    for utterance in utterances:
        _check(utterance, folder)
        start, end = ("", "") if utterance.start is None else (f"{utterance.start:.3f}", f"{utterance.end:.3f}")
        text |= utterance.text is not None
        language |= utterance.language is not None
        segments |= utterance.start is not None
        gender |= utterance.gender is not None
        phones |= bool(utterance.phones)
        alignment = " ".join(
            f"{phone.start_seconds:.4f} {phone.end_seconds:.4f} {phone.label}" for phone in utterance.phones
        )
        fields = (
            utterance.utt_id,
            utterance.speaker,
            utterance.wav,
            " ".join((utterance.text or "").split()),
            utterance.language or "",
            start,
            end,
            utterance.recording or utterance.utt_id,
            utterance.gender or "",
            alignment,
        )
        try:
            stream.write("\t".join(fields) + "\n")
        except UnicodeEncodeError:
            raise UserError(f"{folder}: {utterance.utt_id!r} ({utterance.wav!r}): not UTF-8; rename the file") from None
    return _Optional(text, language, segments, gender, phones)


def _check(one: Utterance, folder: Path) -> None:
    """Refuse what would break a table."""
    for kind, name in (("utterance", one.utt_id), ("speaker", one.speaker), ("recording", one.recording or "x")):
        if not name or name.split() != [name]:
            raise UserError(f"{folder}: {one.wav}: {kind} id {name!r} is empty or has blanks: no table can hold it")
    if not one.wav or "\t" in one.wav or "\n" in one.wav or one.wav != one.wav.strip():
        raise UserError(f"{folder}: {one.utt_id}: wav.scp cannot hold the path {one.wav!r}; rename the file")
    assert all(len(phone.label.split()) == 1 for phone in one.phones), one.utt_id
    if one.start is not None:
        assert one.recording and one.end is not None, f"{one.utt_id}: a part needs a recording and an end"
        if not 0 <= one.start < one.end:
            raise UserError(
                f"{folder}: {one.utt_id}: {one.start} s to {one.end} s of {one.wav}: the end is not after the begin"
            )


def _fields(path: Path) -> Iterator[list[str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        for line in stream:
            yield line[:-1].split("\t")


def _write_by_utterance(work: Path, folder: Path, optional: _Optional) -> int:
    """Sort the rows; write the tables by utterance, and what the other tables are made of. Returns the count."""
    sort_file(work / "rows")
    names = ["utt2spk"]
    names += [name for name, is_used in (("text", optional.text), ("utt2lang", optional.language)) if is_used]
    names += [name for name, is_used in (("segments", optional.segments), ("phones.ctm", optional.phones)) if is_used]
    streams = {name: open(work / "tables" / name, "w", encoding="utf-8", newline="\n") for name in names}  # noqa: SIM115
    streams |= {name: open(work / name, "w", encoding="utf-8", newline="\n") for name in ("recordings", "speakers")}  # noqa: SIM115
    count, previous, previous_wav = 0, None, ""
    duplicates: list[str] = []
    try:
        for utt_id, speaker, wav, text, language, start, end, recording, gender, phones in _fields(work / "rows"):
            count += 1
            if utt_id == previous and len(duplicates) < NUM_NAMED:
                duplicates.append(f"{utt_id} ({previous_wav} and {wav})")
            previous, previous_wav = utt_id, wav
            lines = {
                "utt2spk": f"{utt_id} {speaker}",
                "text": f"{utt_id} {text}".rstrip(),
                "utt2lang": f"{utt_id} {language or 'und'}",  # ISO 639-3: undetermined
                "segments": f"{utt_id} {recording} {start} {end}",
                "recordings": f"{recording}\t{wav}",
                "speakers": f"{speaker}\t{utt_id}\t{gender}",
            }
            if optional.segments and not start:
                raise UserError(f"{folder}: {utt_id} has no begin and end, but others have; give it the whole length")
            for name, stream in streams.items():
                if name == "phones.ctm":
                    stream.writelines(_ctm_lines(utt_id, phones))
                else:
                    stream.write(lines[name] + "\n")
    finally:
        for stream in streams.values():
            stream.close()
    if count == 0:
        raise UserError(f"{folder}: no utterances for this set")
    if duplicates:
        raise UserError(f"{folder}: utterance ids appear twice: {', '.join(duplicates)}; two files have the same name")
    return count


def _ctm_lines(utt_id: str, phones: str) -> Iterator[str]:
    words = phones.split(" ") if phones else []
    for start, end, label in zip(words[::3], words[1::3], words[2::3], strict=True):
        yield f"{utt_id} 1 {start} {float(end) - float(start):.4f} {label}\n"


def _write_recordings(work: Path, folder: Path) -> None:
    """Write wav.scp from the (recording, file) pairs."""
    sort_file(work / "recordings", unique=True)
    previous = None
    with open(work / "tables" / "wav.scp", "w", encoding="utf-8", newline="\n") as stream:
        for recording, wav in _fields(work / "recordings"):
            if recording == previous:
                raise UserError(f"{folder}: two files for the recording {recording}, one is {wav}")
            previous = recording
            stream.write(f"{recording} {wav}\n")


def _write_speakers(work: Path, folder: Path, with_gender: bool) -> int:
    """Write spk2utt, and spk2gender where asked for, from (speaker, utterance, gender); count the speakers."""
    sort_file(work / "speakers")
    count = 0
    genders = []
    with open(work / "tables" / "spk2utt", "w", encoding="utf-8", newline="\n") as stream:
        for speaker, rows in groupby(_fields(work / "speakers"), key=lambda row: row[0]):
            stream.write(speaker)
            speaker_genders = set()
            for _, utt_id, gender in rows:
                stream.write(f" {utt_id}")
                speaker_genders.add(gender)
            stream.write("\n")
            count += 1
            speaker_genders.discard("")
            if not speaker_genders <= {"m", "f"} or len(speaker_genders) > 1:
                raise UserError(
                    f"{folder}: speaker {speaker} has the genders {sorted(speaker_genders)}; expected either m or f"
                )
            genders += [f"{speaker} {gender}\n" for gender in speaker_genders]
    if with_gender and len(genders) < count:
        print(f"{folder}: {count - len(genders)} of {count} speakers without a gender: no spk2gender", flush=True)
    elif with_gender:
        (work / "tables" / "spk2gender").write_text("".join(genders), encoding="utf-8")
    return count
