"""The folder of LibriSpeech in, the tables of each part and of the joined sets out, with phone times"""

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.scan import map_in_order, require_root, scan_audio
from espnet2.data_prep.tables import Phone, Utterance, write_data_dir
from espnet2.data_prep.textgrid import phones_of, read_lab, read_textgrid
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.kaldi_table import read_table
from espnet2.utils.progress import Progress

JOINED = {
    "train_960": ("train-clean-100", "train-clean-360", "train-other-500"),
    "dev": ("dev-clean", "dev-other"),
}
AUDIO = (".flac", ".wav")
SPEAKERS = "SPEAKERS.TXT"  # "14   | F | train-clean-360  | 25.03 | name"; lines with ";" are comments
NUM_NAMED = 5  # offenders an error names


class Chapter(NamedTuple):
    """One folder <part>/<speaker>/<chapter>: its audio and what was read there."""

    folder: str
    audio: list[str]  # paths
    alignments: dict[str, str]  # utterance -> file
    gender: str | None


def find_corpus(root: Path, parts: list[str]) -> Path:
    """The folder that holds the parts: `root` itself or root/LibriSpeech, as the archives unpack."""
    if not (root / parts[0]).is_dir() and (root / "LibriSpeech").is_dir():
        root = root / "LibriSpeech"
    return require_root(root, parts, "LibriSpeech (--librispeech_root, --parts)")


def read_genders(corpus: Path) -> dict[str, str]:
    """Speaker -> m or f, by SPEAKERS.TXT; nothing where a copy lacks it."""
    path = corpus / SPEAKERS
    if not path.is_file():
        print(f"{path} is missing: no spk2gender", file=sys.stderr)
        return {}
    rows = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(";")]
    return {row[0].strip(): row[1].strip().lower() for row in rows if len(row) > 1 and row[1].strip() in "FM"}


def find_alignments(folder: Path, num_jobs: int) -> dict[str, str]:
    """Utterance -> its .TextGrid or .lab file, wherever it lies; a folder `word` beside `phone` is left out."""
    require_root(folder, [], "alignments (--alignments)")
    alignments: dict[str, str] = {}
    for name in scan_audio(folder, (".TextGrid", ".lab"), num_jobs):
        if "word" not in name.split("/")[:-1]:
            alignments[Path(name).stem] = f"{folder}/{name}"
    if not alignments:
        raise UserError(f"{folder}: no .TextGrid or .lab file below it; expected published alignments of LibriSpeech")
    return alignments


def read_phones(path: str) -> tuple[Phone, ...]:
    """The phones of one alignment.

    Raises:
        UserError: a TextGrid without the tier "phones".
    """
    if path.lower().endswith(".lab"):
        return phones_of(read_lab(path), path)
    tiers = read_textgrid(path)
    if "phones" not in tiers:
        raise UserError(f"{path}: no tier 'phones'; it has {', '.join(tiers)}")
    return phones_of(tiers["phones"], path)


def read_chapter(chapter: Chapter) -> list[Utterance]:
    """The utterances of a chapter; those without a transcript have an empty one.

    Raises:
        UserError: a transcript has no audio: the copy is not complete.
    """
    speaker, number = chapter.folder.split("/")[-2:]
    table = Path(chapter.folder, f"{speaker}-{number}.trans.txt")
    texts = read_table(table) if table.exists() else {}
    names = [Path(path).stem for path in chapter.audio]
    missing = sorted(texts.keys() - set(names))
    if missing:
        raise UserError(
            f"{chapter.folder}: no audio for {len(missing)} of {len(texts)} transcripts: "
            f"{' '.join(missing[:NUM_NAMED])}{' ...' * (len(missing) > NUM_NAMED)}; unpack the part again"
        )
    return [
        Utterance(
            utt_id=name,
            speaker=speaker,
            wav=path,
            text=texts.get(name, ""),
            gender=chapter.gender,
            phones=read_phones(chapter.alignments[name]) if name in chapter.alignments else (),
        )
        for name, path in zip(names, chapter.audio, strict=True)
    ]


def read_parts(corpus: Path, parts: tuple[str, ...], alignments: dict[str, str], num_jobs: int) -> Iterator[Utterance]:
    """The utterances of some parts, chapter by chapter."""
    genders = read_genders(corpus)

    def chapters() -> Iterator[Chapter]:
        for part in parts:
            paths = (f"{corpus / part}/{name}" for name in scan_audio(corpus / part, AUDIO, num_jobs))
            for folder, audio in groupby(paths, key=os.path.dirname):
                files = list(audio)
                chapter_alignments = {
                    name: alignments[name] for name in (Path(path).stem for path in files) if name in alignments
                }
                yield Chapter(
                    folder, files, chapter_alignments, genders.get(folder.split("/")[-2]) if genders else None
                )

    progress = Progress(f"utterances of {' '.join(parts)}")
    for utterances in map_in_order(read_chapter, chapters(), num_jobs):
        progress.add(len(utterances))
        yield from utterances


def report(dset: str, utterances: Iterator[Utterance]) -> Iterator[Utterance]:
    """Pass the utterances on; say at the end how many lack a transcript or an alignment."""
    total = no_text = aligned = 0
    for one in utterances:
        total, no_text, aligned = total + 1, no_text + (not one.text), aligned + bool(one.phones)
        yield one
    print(f"{dset}: {total} utterances, {no_text} without a transcript, {aligned} with phone times", flush=True)


def main() -> None:
    """Write one set for each part, and the joined ones of which all parts are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the new sets")
    parser.add_argument("--parts", required=True, help="such as 'train-clean-100 dev-clean'")
    parser.add_argument("--alignments", default="", help="folder of alignments")
    parser.add_argument("--nj", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    parts = arguments.parts.split()
    corpus = find_corpus(Path(os.path.abspath(arguments.root)), parts)
    alignments = find_alignments(Path(arguments.alignments), arguments.nj) if arguments.alignments else {}
    sets = {part.replace("-", "_"): (part,) for part in parts}
    sets |= {name: members for name, members in JOINED.items() if set(members) <= set(parts)}
    for dset, members in sets.items():
        write_data_dir(arguments.output_dir / dset, report(dset, read_parts(corpus, members, alignments, arguments.nj)))


if __name__ == "__main__":
    run_main(main)
