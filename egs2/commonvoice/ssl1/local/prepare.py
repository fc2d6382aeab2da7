"""An unpacked Common Voice release in, the tables of its train, dev and test sets in one or several languages out."""

import argparse
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.scan import require_root
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.progress import Progress

WHAT = "Common Voice (--commonvoice_root)"
LISTS = ("train", "dev", "test", "validated", "other", "invalidated")  # the tsv files that list clips
COLUMNS = ("client_id", "path", "sentence")  # in every release; the others come and go
SPEAKER_CHARACTERS = 16  # of the 128 hexadecimal digits of a client_id: 64 bits tell a million people apart
NON_PRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
NUM_NAMED = 5  # offenders an error names


class Clip(NamedTuple):
    """One line of a tsv file."""

    client_id: str
    name: str  # of the file in clips/
    sentence: str


class Held(NamedTuple):
    """What must not be in train."""

    clips: frozenset[str]
    speakers: frozenset[str]


@dataclass
class Tally:
    """What became of the lines of a set's lists."""

    kept: int = 0
    held_clips: int = 0
    held_speakers: int = 0
    repeated: int = 0
    missing: int = 0
    named: list[str] = field(default_factory=list)  # the first missing clips

    def left_out(self) -> str:
        """In words, for the log; empty where nothing was left out."""
        reasons = {
            "are in dev or test": self.held_clips,
            "are of speakers of dev or test": self.held_speakers,
            "are listed twice": self.repeated,
            "are missing": self.missing,
        }
        return "; left out: " * any(reasons.values()) + ", ".join(
            f"{count:,} {what}" for what, count in reasons.items() if count
        )


def find_language(root: Path, language: str) -> Path:
    """The folder of a language: the root itself, in it, or in the one release that lies in it.

    Raises:
        UserError: it is not there, is there twice, or lacks its clips or lists.
    """
    require_root(root, (), WHAT)
    if root.name == language and (root / "clips").is_dir():
        candidates = [root]
    else:
        releases = sorted(root.glob(f"cv-corpus-*/{language}"))
        candidates = [root / language] if (root / language).is_dir() else releases
    if not candidates:
        raise UserError(f"{WHAT}: no folder {root / language}, nor {root}/cv-corpus-*/{language}; unpack one there")
    if len(candidates) > 1:
        raise UserError(f"{WHAT}: several releases of {language}: {', '.join(map(str, candidates))}; name one of them")
    return require_root(candidates[0], ("clips", "train.tsv", "dev.tsv", "test.tsv"), WHAT)


def read_clips(path: Path) -> Iterator[Clip]:
    """The lines of a tsv file. There is no quoting in it: a quotation mark is part of a sentence.

    Raises:
        UserError: no such file, not UTF-8, a column is missing, or a line has another number of columns.
    """
    if not path.is_file():
        raise UserError(f"{WHAT}: no file {path}; the release is not complete")
    number = 0
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as stream:  # only a line feed ends a line
            header = next(stream, "").rstrip("\r\n").split("\t")
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise UserError(f"{path}:1: no column {', '.join(missing)}; expected the header of a Common Voice list")
            client, name, sentence = (header.index(column) for column in COLUMNS)
            for number, line in enumerate(stream, 2):
                fields = line.rstrip("\r\n").split("\t")
                if len(fields) != len(header):
                    raise UserError(f"{path}:{number}: {len(fields)} columns, expected {len(header)} as in the header")
                clip = fields[name] if fields[name].lower().endswith(".mp3") else f"{fields[name]}.mp3"
                yield Clip(fields[client], clip, fields[sentence])
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 after line {number}; unpack the release again") from None


def clean(sentence: str) -> str:
    """A sentence without control characters, words separated by single blanks."""
    return " ".join(NON_PRINTABLE.sub(" ", sentence).split())


def held_out(folders: dict[str, Path]) -> Held:
    """Clips and speakers of dev and test, in all the languages: people speak several."""
    paths = [folder / f"{name}.tsv" for folder in folders.values() for name in ("dev", "test")]
    rows = [row for path in paths for row in read_clips(path)]
    return Held(frozenset(row.name for row in rows), frozenset(row.client_id for row in rows))


def select(folder: Path, lists: tuple[str, ...], held: Held, tally: Tally) -> Iterator[Clip]:
    """The clips of some lists, each once, that exist and are not held out; the others are counted.

    Raises:
        UserError: a list is missing.
    """
    present = set(os.listdir(folder / "clips"))
    seen: set[str] = set()
    progress = Progress(f"lines of {folder.name}/{{{','.join(lists)}}}.tsv")
    for name in lists:
        for clip in read_clips(folder / f"{name}.tsv"):
            progress.add()
            if clip.name in held.clips:
                tally.held_clips += 1
            elif clip.client_id in held.speakers:
                tally.held_speakers += 1
            elif clip.name in seen:
                tally.repeated += 1
            elif clip.name not in present:
                tally.missing += 1
                tally.named += [clip.name] * (len(tally.named) < NUM_NAMED)
            else:
                seen.add(clip.name)
                tally.kept += 1
                yield clip


def utterances(
    language: str, folder: Path, lists: tuple[str, ...], held: Held, max_missing_ratio: float, tally: Tally
) -> Iterator[Utterance]:
    """The utterances of one set in one language.

    Raises:
        UserError: too many of its clips are missing.
    """
    for clip in select(folder, lists, held, tally):
        speaker = f"{language}_{clip.client_id[:SPEAKER_CHARACTERS]}"
        yield Utterance(
            utt_id=f"{speaker}-{clip.name.rsplit('.', 1)[0]}",
            speaker=speaker,
            wav=str(folder / "clips" / clip.name),
            text=clean(clip.sentence),
            language=language,
        )
    listed = tally.missing + tally.kept
    if tally.missing > max_missing_ratio * listed:
        raise UserError(
            f"{folder}/clips: {tally.missing:,} of the {listed:,} clips in {', '.join(lists)}.tsv are missing: "
            f"{', '.join(tally.named)}{', ...' * (tally.missing > NUM_NAMED)}; unpack the archive again, or raise "
            "--max_missing_ratio"
        )


def main() -> None:
    """Find the languages, write the three sets, say what was left out."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder of a release, or of one language")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the sets")
    parser.add_argument("--lang", required=True, help="codes of Common Voice, separated by blanks")
    parser.add_argument("--tag", required=True, help="suffix of the sets: train_<tag>")
    parser.add_argument("--train_lists", required=True, help=f"some of {' '.join(LISTS)}")
    parser.add_argument("--max_missing_ratio", type=float, required=True, help="clips that may be missing")
    arguments = parser.parse_args()
    languages, lists = arguments.lang.split(), tuple(arguments.train_lists.split())
    if not languages or len(set(languages)) < len(languages):
        raise UserError(f"--lang '{arguments.lang}': expected different codes, such as 'de' or 'de sv-SE'")
    if not lists or set(lists) - set(LISTS):
        raise UserError(f"--train_lists '{arguments.train_lists}': expected some of {' '.join(LISTS)}")
    folders = {language: find_language(arguments.root.absolute(), language) for language in languages}
    nothing, held = Held(frozenset(), frozenset()), held_out(folders)
    for dset, of_set, without in (("train", lists, held), ("dev", ("dev",), nothing), ("test", ("test",), nothing)):
        tallies = {language: Tally() for language in languages}
        rows = (
            one
            for language, folder in folders.items()
            for one in utterances(language, folder, of_set, without, arguments.max_missing_ratio, tallies[language])
        )
        summary = write_data_dir(arguments.output_dir / f"{dset}_{arguments.tag}", rows)
        print(f"{dset}_{arguments.tag}: {summary.num_speakers:,} speakers, {summary.num_utterances:,} utterances")
        for language, tally in tallies.items():
            print(f"    {language}: {tally.kept:,} clips{tally.left_out()}")


if __name__ == "__main__":
    run_main(main)
