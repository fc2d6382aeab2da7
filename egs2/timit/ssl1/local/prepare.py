"""The folder of TIMIT in, the tables of data/{train,dev,test} out, with the hand-made phone times as phones.ctm."""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from speaker_sets import CORE_TEST_SPEAKERS, DEV_SPEAKERS

from espnet2.data_prep.scan import map_in_order, require_root, scan_audio
from espnet2.data_prep.tables import Phone, Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main

SAMPLE_RATE = 16000  # Hz; .PHN and .TXT count samples
SILENCE = "SIL"  # the name in this toolkit
REGIONS = tuple(f"dr{number}" for number in range(1, 9))
WHAT = "TIMIT (--timit_root, LDC93S1)"
EXPECTED = "TRAIN and TEST (or train and test), each with DR1 to DR8, each with a folder per speaker"
# The 61 labels of the corpus (doc/PHONCODE.DOC), and how Lee and Hon (1989) fold them into 39. What is not
# named stays; None: deleted, the glottal stop belongs to no class.
LABELS = set(
    "aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl l "
    "m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh".split()
)
# fmt: off
TO_39: dict[str, str | None] = {
    **dict.fromkeys("bcl dcl gcl kcl pcl tcl epi pau h#".split(), SILENCE),
    **dict.fromkeys(("ax", "ax-h"), "ah"),
    **dict.fromkeys(("en", "nx"), "n"),
    "ao": "aa", "axr": "er", "ix": "ih", "ux": "uw", "el": "l", "em": "m", "eng": "ng", "hv": "hh", "zh": "sh",
    "q": None,
}
# fmt: on


class Recording(NamedTuple):
    """One sentence of one speaker."""

    part: str  # train or test: the corpus's own halves
    speaker: str  # lower case
    sentence: str  # "sx217", lower case
    audio: Path


def children(folder: Path) -> dict[str, Path]:
    """Lower-case name -> entry of a folder: distributions differ in case."""
    return {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True)}


def find_halves(root: Path) -> dict[str, Path]:
    """The folders of train and test: in the root, in TIMIT/, in timit/timit/ or in data/.

    Raises:
        UserError: they are not there, or lack a dialect region.
    """
    require_root(root, (), WHAT)
    folders = [root]
    for _ in range(2):
        folders += [path for folder in folders for path in folder.iterdir() if path.is_dir() and path not in folders]
    for folder in folders:
        entries = children(folder)
        halves = {name: entries[name] for name in ("train", "test") if name in entries and entries[name].is_dir()}
        if not any("dr1" in children(half) for half in halves.values()):
            continue
        missing = [name.upper() for name in ("train", "test") if name not in halves]
        missing += [
            f"{half.name}/{region.upper()}"
            for half in halves.values()
            for region in REGIONS
            if region not in children(half)
        ]
        if missing:
            raise UserError(
                f"{WHAT}: {folder} lacks {', '.join(missing)}; expected {EXPECTED}; the copy is not complete"
            )
        return halves
    raise UserError(f"{WHAT}: nothing that looks like TIMIT in {root} or two levels below; expected {EXPECTED}")


def find_recordings(halves: dict[str, Path]) -> list[Recording]:
    """All sentences, sorted by speaker; of `SA1.WAV` and the copy `SA1.WAV.wav` beside it the first.

    Raises:
        UserError: a speaker is in both halves.
    """
    recordings: dict[tuple[str, str], Recording] = {}
    for part, folder in halves.items():
        for name in sorted(scan_audio(folder, (".wav",)), key=lambda name: (name.lower().count(".wav"), name)):
            path = folder / name
            if len(Path(name).parts) != 3:  # region, speaker, file
                continue
            speaker, sentence = path.parent.name.lower(), path.name.split(".")[0].lower()
            earlier = recordings.setdefault((speaker, sentence), Recording(part, speaker, sentence, path))
            if earlier.part != part:
                raise UserError(f"{path.parent}: speaker {speaker} is in TRAIN and in TEST; the copy is damaged")
    return [recordings[key] for key in sorted(recordings)]


def beside(audio: Path, suffix: str) -> Path | None:
    """The file of the same sentence with another suffix, in either case."""
    stem = audio.name.split(".")[0]
    for name in (f"{stem}.{suffix.upper()}", f"{stem}.{suffix.lower()}"):
        if (audio.parent / name).is_file():
            return audio.parent / name
    return None


def read_rows(path: Path) -> Iterator[tuple[int, int, int, str]]:
    """(line number, first sample, sample after the last, rest) of a .PHN or .TXT file.

    Raises:
        UserError: a line has another form.
    """
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        fields = line.split(maxsplit=2)
        if not fields:
            continue
        if len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
            raise UserError(f"{path}:{number}: expected '<first sample> <last sample> <label>', got '{line[:80]}'")
        yield number, int(fields[0]), int(fields[1]), fields[2].strip()


def read_phones(path: Path, phone_set: int) -> tuple[Phone, ...]:
    """The phones of a .PHN file in seconds: the corpus's 61, or 39 with silences in a row as one.

    Raises:
        UserError: an unknown label, or times that go back.
    """
    phones: list[Phone] = []
    for number, first, last, label in read_rows(path):
        label = label.lower()
        if label not in LABELS:
            raise UserError(f"{path}:{number}: '{label}' is none of TIMIT's 61 phones")
        start, end = first / SAMPLE_RATE, last / SAMPLE_RATE
        if phones and start < phones[-1].start_seconds:
            raise UserError(f"{path}:{number}: the phone begins before the one above")
        name = TO_39.get(label, label) if phone_set == 39 else label
        if name is None or end <= start:
            continue
        if name == SILENCE and phones and phones[-1].label == SILENCE and phones[-1].end_seconds == start:
            start = phones.pop().start_seconds
        phones.append(Phone(start, end, name))
    return tuple(phones)


def read_text(path: Path) -> str:
    """The sentence of a .TXT file: what follows the two numbers."""
    return " ".join(text for _, _, _, text in read_rows(path))


def set_of(recording: Recording) -> str | None:
    """The set a recording belongs to; the test speakers of neither list are left out, as is usual."""
    if recording.part == "train":
        return "train"
    if recording.speaker in DEV_SPEAKERS:
        return "dev"
    return "test" if recording.speaker in CORE_TEST_SPEAKERS else None


def read_utterance(recording: Recording, phone_set: int) -> Utterance:
    """A recording with its transcript and its phones, as far as it has them."""
    text, phones = beside(recording.audio, "txt"), beside(recording.audio, "phn")
    return Utterance(
        utt_id=f"{recording.speaker}-{recording.sentence}",
        speaker=recording.speaker,
        wav=str(recording.audio),
        text="" if text is None else read_text(text),
        language="en",
        gender=recording.speaker[0],
        phones=() if phones is None else read_phones(phones, phone_set),
    )


def counted(utterances: Iterable[Utterance], lacking: Counter) -> Iterator[Utterance]:
    """The same utterances; counts those without a transcript or phones."""
    for one in utterances:
        lacking.update({"a transcript": not one.text, "phone labels": not one.phones})
        yield one


def main() -> None:
    """Find the corpus, divide it, write the sets, say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder of TIMIT")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/, dev/ and test/")
    parser.add_argument("--phone_set", type=int, choices=(39, 61), default=39, help="labels of phones.ctm")
    parser.add_argument("--use_sa", choices=("true", "false"), default="false", help="keep the sentences all speak")
    parser.add_argument("--nj", type=int, default=1, help="processes that read labels")
    arguments = parser.parse_args()
    recordings = find_recordings(find_halves(arguments.root.absolute()))
    kept = [one for one in recordings if arguments.use_sa == "true" or not one.sentence.startswith("sa")]
    for dset in ("train", "dev", "test"):
        part = [one for one in kept if set_of(one) == dset]
        if not part:
            raise UserError(f"{WHAT}: no recording of the {dset} set in {arguments.root}; the copy is not complete")
        read = map_in_order(partial(read_utterance, phone_set=arguments.phone_set), part, arguments.nj)
        lacking: Counter = Counter()
        summary = write_data_dir(arguments.output_dir / dset, counted(read, lacking))
        note = "".join(f"; {count} without {what}" for what, count in lacking.items() if count)
        print(f"{dset}: {summary.num_speakers} speakers, {summary.num_utterances} utterances{note}")


if __name__ == "__main__":
    run_main(main)
