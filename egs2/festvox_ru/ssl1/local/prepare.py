"""The folder of the festvox-ru voice in, the tables of data/train and data/dev out, with its phone times."""

import argparse
import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.checksum import content_checksum
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.kaldi_table import write_table

# Of Debian's festvox-ru 0.5+dfsg-6: all that this recipe reads (see `check_content`), whoever built the package.
CONTENT_SHA256 = "57f33338f68d312b9f83838e5ae06ca9edd6b8ea4ba3819a6fccc4167ce70f5a"
VOICE = Path("usr/share/festival/voices/russian/msu_ru_nsh_clunits")
TRANSCRIPTS = Path("etc/txt.done.data")

SPEAKER, GENDER, LANGUAGE = "nsh", "m", "ru"
SAMPLE_RATE = 16000  # Hz
DEV_SHARE = 10  # one utterance in ten, about 10 minutes
PAUSE, SILENCE = "pau", "SIL"  # the name in the package, the name in this toolkit
NUM_NAMED = 5  # offenders an error names


class Segment(NamedTuple):
    """One labelled phone."""

    phone: str
    start_milliseconds: int
    end_milliseconds: int


class Utterance(NamedTuple):
    """One recorded sentence."""

    name: str  # Kaldi wants the speaker first: "nsh-ru_0001"
    path: str
    text: str
    num_samples: int
    segments: list[Segment]


def find_corpus(root: Path) -> Path:
    """The folder with wav/, lab/ and etc/: `root` itself, or the voice's place below an unpacked package.

    Raises:
        UserError: neither is there.
    """
    for folder in (root, root / VOICE):
        if (folder / TRANSCRIPTS).is_file():
            return folder
    raise UserError(f"{root}: no {TRANSCRIPTS} in it (nor in {VOICE}); expected the folder of the festvox-ru voice")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; a `UserError` if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; the corpus folder is damaged: fetch or unpack it again") from None


def read_transcripts(path: Path) -> dict[str, str]:
    """Read lines of `( ru_0001 "text" )`; the "+" that marks an unusual stress is dropped.

    Raises:
        UserError: a line has another form, or a name appears twice.
    """
    texts: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        match = re.fullmatch(r'\(\s*(\S+)\s+"(.*)"\s*\)\s*', line)
        if not match:
            raise UserError(f"{path}:{number}: expected '( <name> \"<text>\" )'; the corpus folder is damaged")
        if match[1] in texts:
            raise UserError(f"{path}:{number}: {match[1]} appears twice; the corpus folder is damaged")
        texts[match[1]] = " ".join(match[2].replace("+", "").split())
    return texts


def read_segments(path: Path) -> list[Segment]:
    """Read an xwaves label file: a header up to "#", then "<end in seconds> <colour> <phone>"; pauses in a row merge.

    Raises:
        UserError: a line has another form, or the times do not grow.
    """
    segments: list[Segment] = []
    in_header, end = True, 0
    for number, line in enumerate(read_lines(path), 1):
        if in_header or not line.strip():
            in_header = in_header and line.strip() != "#"
            continue
        match = re.fullmatch(r"\s*(\d+\.\d+)\s+\S+\s+(\S+)\s*", line)
        start, end = end, round(1000 * float(match[1])) if match else end
        if not match or end <= start:
            raise UserError(f"{path}:{number}: expected '<growing end time> <colour> <phone>'; got '{line}'")
        phone = SILENCE if match[2] == PAUSE else match[2]
        if segments and phone == SILENCE == segments[-1].phone:
            start = segments.pop().start_milliseconds
        segments.append(Segment(phone, start, end))
    if not segments:
        raise UserError(f"{path}: no labels in it; the corpus folder is damaged")
    return segments


def read_utterance(corpus: Path, name: str, text: str) -> Utterance:
    """Read one utterance's labels and the length of its audio, and check that they fit.

    Raises:
        UserError: not 16 kHz mono audio, or it ends before its labels.
    """
    import soundfile

    path = corpus / "wav" / f"{name}.wav"
    segments = read_segments(corpus / "lab" / f"{name}.lab")
    try:
        information = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: not readable as audio ({error.error_string}); fetch the corpus again") from None
    if (information.samplerate, information.channels) != (SAMPLE_RATE, 1):
        raise UserError(
            f"{path}: {information.samplerate} Hz, {information.channels} channels; expected 16000 Hz, mono"
        )
    if information.frames * 1000 < segments[-1].end_milliseconds * SAMPLE_RATE:
        seconds = information.frames / SAMPLE_RATE
        raise UserError(
            f"{path}: {seconds:.3f} s of audio, but labels up to {segments[-1].end_milliseconds / 1000:.3f} s; "
            "the file is cut short: fetch the corpus again"
        )
    return Utterance(f"{SPEAKER}-{name}", str(path), text, information.frames, segments)


def check_complete(corpus: Path, names: list[str]) -> None:
    """Refuse a folder without the audio or the labels of some utterances, naming the first."""
    for folder, suffix in (("wav", "wav"), ("lab", "lab")):
        missing = [name for name in names if not (corpus / folder / f"{name}.{suffix}").is_file()]
        if missing:
            raise UserError(
                f"{corpus / folder}: {len(missing)} of {len(names)} files are missing: "
                f"{' '.join(f'{name}.{suffix}' for name in missing[:NUM_NAMED])}{' ...' * (len(missing) > NUM_NAMED)}; "
                "the copy is not complete: fetch or unpack it again"
            )


def check_content(corpus: Path, names: list[str]) -> None:
    """Refuse a corpus that is not, byte for byte, the one that the recipe's results were measured on."""
    files = [TRANSCRIPTS, *(Path(folder, f"{name}.{folder}") for name in sorted(names) for folder in ("wav", "lab"))]
    checksum = content_checksum(corpus, files)
    if checksum != CONTENT_SHA256:
        raise UserError(
            f"{corpus}: SHA-256 of the contents is {checksum}, expected {CONTENT_SHA256} (festvox-ru 0.5+dfsg-6); "
            "fetch the corpus again, or pass --check_content false if you mean to use another version"
        )


def is_dev(name: str) -> bool:
    """Whether an utterance is held out: by the hash of its name, so that no other utterance can change it."""
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big") % DEV_SHARE == 0


def write_set(folder: Path, utterances: list[Utterance]) -> None:
    """Write one set's Kaldi tables (spk2utt is the shell's work)."""
    write_table(folder / "utt2spk", [(one.name, SPEAKER) for one in utterances])
    write_table(folder / "spk2gender", [(SPEAKER, GENDER)])
    write_table(folder / "text", [(one.name, one.text) for one in utterances])
    write_table(folder / "utt2lang", [(one.name, LANGUAGE) for one in utterances])
    lines = [
        (one.name, f"1 {start / 1000:.3f} {(end - start) / 1000:.3f} {phone}")
        for one in utterances
        for phone, start, end in one.segments
    ]
    write_table(folder / "phones.ctm", lines)
    write_table(folder / "wav.scp", [(one.name, one.path) for one in utterances])


def main() -> None:
    """Check the corpus, split it, write both sets, say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder of the voice, or of an unpacked package")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/ and dev/ (tables)")
    parser.add_argument("--check_content", choices=("true", "false"), default="true", help="compare the SHA-256")
    arguments = parser.parse_args()
    corpus = find_corpus(arguments.root)
    texts = read_transcripts(corpus / TRANSCRIPTS)
    check_complete(corpus, list(texts))
    if arguments.check_content == "true":
        check_content(corpus, list(texts))
    for dset, held_out in (("train", False), ("dev", True)):
        part = [read_utterance(corpus, name, texts[name]) for name in sorted(texts) if is_dev(name) is held_out]
        if not part:
            raise UserError(f"{corpus}: {len(texts)} utterances leave none for the {dset} set")
        write_set(arguments.output_dir / dset, part)
        minutes = sum(one.num_samples for one in part) / SAMPLE_RATE / 60
        print(f"{dset}: 1 speaker, {len(part)} utterances, {minutes:.2f} minutes")


if __name__ == "__main__":
    run_main(main)
