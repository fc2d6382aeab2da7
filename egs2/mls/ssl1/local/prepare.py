"""The folder of MLS in, the tables of train, dev and test out: several languages together, millions of files."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from espnet2.data_prep.disk import join_on_disk
from espnet2.data_prep.scan import require_root, scan_audio
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.progress import Progress

LANGUAGES = {  # name of the folder -> ISO 639-1
    "german": "de", "dutch": "nl", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt",
    "polish": "pl", "english": "en",
}  # fmt: skip
SPLITS = ("train", "dev", "test")
AUDIO = (".flac", ".opus")
NUM_NAMED = 5  # offenders an error names


def check_languages(languages: list[str]) -> None:
    """Refuse a language that MLS does not have."""
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown or not languages:
        raise UserError(f"--languages: MLS has no '{' '.join(unknown)}'; it has {','.join(LANGUAGES)}")


def find_languages(root: Path, languages: list[str]) -> dict[str, Path]:
    """Language -> its folder, mls_<language> or mls_<language>_opus, with all three splits."""
    check_languages(languages)
    folders = {}
    for language in languages:
        names = [f"mls_{language}", f"mls_{language}_opus"]
        present = [root / name for name in names if (root / name).is_dir()]
        folder = present[0] if present else require_root(root, names[:1], "MLS (--mls_root, --languages)") / names[0]
        expected = [f"{split}/{name}" for split in SPLITS for name in ("transcripts.txt", "audio")]
        folders[language] = require_root(folder, expected, f"MLS, {language} (--mls_root)")
    return folders


def read_transcripts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each line "<speaker>_<book>_<number><tab><text>".

    Raises:
        UserError: a line has another form.
    """
    with open(path, encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            name, tab, text = line.rstrip("\r\n").partition("\t")
            if not tab or name.count("_") != 2:
                raise UserError(f"{path}:{number}: expected '<speaker>_<book>_<number><tab><text>', got '{line[:60]}'")
            yield name, " ".join(text.split())


def read_split(language: str, folder: Path, split: str, work: Path, num_jobs: int) -> Iterator[Utterance]:
    """The utterances of one language's split: every audio file, with its transcript where there is one.

    Raises:
        UserError: transcripts without audio: the copy is not complete.
    """
    audio = folder / split / "audio"
    names = scan_audio(audio, AUDIO, num_jobs, work)
    files = ((os.path.splitext(os.path.basename(name))[0], f"{audio}/{name}") for name in names)
    progress = Progress(f"{language}, {split}: utterances")
    missing: list[str] = []
    count = no_text = num_missing = 0
    for name, path, text in join_on_disk(work, files, read_transcripts(folder / split / "transcripts.txt")):
        if path is None:
            num_missing += 1
            missing += [name] * (len(missing) < NUM_NAMED)
            continue
        count, no_text = count + 1, no_text + (text is None)
        progress.add()
        # LibriVox's number of the speaker first; "-" sorts before digits, so that speakers sort as utterances do.
        yield Utterance(name.replace("_", "-"), name.split("_")[0], path, text or "", LANGUAGES[language])
    if num_missing:
        named = " ".join(missing) + (" ..." if num_missing > NUM_NAMED else "")
        raise UserError(
            f"{audio}: {num_missing} transcripts have no audio: {named}; the copy is not complete: unpack it again"
        )
    print(f"{language}, {split}: {count} utterances, {no_text} without a transcript", flush=True)


def read_speakers(folder: Path) -> set[str]:
    """The speakers of a set that was written."""
    with open(folder / "spk2utt", encoding="utf-8") as stream:
        return {line.split(" ", 1)[0] for line in stream}


def main() -> None:
    """Write the three sets; say which speakers they share."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder with mls_<language>")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the new sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for what a later call need not read again")
    parser.add_argument("--languages", required=True, help="such as 'polish german'")
    parser.add_argument("--nj", type=int, default=1, help="folders to read at a time")
    args = parser.parse_args()
    folders = find_languages(Path(os.path.abspath(args.root)), args.languages.split())
    for split in SPLITS:
        parts = (read_split(language, folder, split, args.work, args.nj) for language, folder in folders.items())
        write_data_dir(args.output_dir / split, (one for part in parts for one in part))
    trained = read_speakers(args.output_dir / "train")
    for split in SPLITS[1:]:
        shared = sorted(read_speakers(args.output_dir / split) & trained)
        if shared:
            print(f"{split}: {len(shared)} speakers are in train too: {' '.join(shared[:NUM_NAMED])}", flush=True)


if __name__ == "__main__":
    run_main(main)
