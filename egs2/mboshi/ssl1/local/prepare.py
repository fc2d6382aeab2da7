"""A clone of the Mboshi corpus in, the tables of data/{train,dev,test} out, without what was aligned wrongly."""

import argparse
import unicodedata
import wave
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from espnet2.data_prep.checksum import content_checksum
from espnet2.data_prep.scan import require_root
from espnet2.data_prep.tables import Phone, Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main

# Of commit 83c5b428: all that this recipe reads, without the names of the corpus's own dev half.
CONTENT_SHA256 = "f0515a44e8187c1c4cbba6f7ad708437dd497e95454f70290bfdc645cfb48336"
WHAT = "Mboshi (--mboshi_root)"
AUDIO, HELD_OUT, ALIGNMENTS = (
    Path("full_corpus_newsplit/all"),
    Path("full_corpus_newsplit/dev"),
    Path("ZRC_scoring/mboshi/in"),
)
TRANSCRIPT = ".mb.cleaned"  # lower case, no punctuation
TEST_SPEAKER = "martial"  # the one with the fewest recordings: the other two are trained on
SPEAKERS = ("abiayi", "kouarata", TEST_SPEAKER)
LANGUAGE = "mdw"  # ISO 639-3
SAMPLE_RATE = 16000  # Hz
SILENCE = "SIL"  # the name in the corpus, and in this toolkit
OVERLAPPING, OTHER_WORDS = "with phones that overlap", "with phones of another utterance"
NUM_NAMED = 5  # offenders an error names
# By which the published phones are late: mean of what local/phone_clock.py finds on train (README, "The clock").
PHONE_SHIFT_SECONDS = 0.07
GREATEST_SHIFT_SECONDS = 1.0  # of either sign: more is a mistake of the unit


def list_files(root: Path) -> dict[str, bool]:
    """Name of every utterance, sorted, and whether it is in the corpus's own dev half.

    Raises:
        UserError: no corpus, or an utterance without transcript or phones.
    """
    require_root(root, [str(folder) for folder in (AUDIO, HELD_OUT, ALIGNMENTS)], WHAT)
    names = sorted(path.stem for path in (root / AUDIO).glob("*.wav"))
    held_out = {path.name.split(".")[0] for path in (root / HELD_OUT).glob(f"*{TRANSCRIPT}")}
    if not names or not held_out:
        raise UserError(f"{WHAT}: no *.wav in {root / AUDIO} or no *{TRANSCRIPT} in {root / HELD_OUT}; clone it again")
    for folder, suffix in ((AUDIO, TRANSCRIPT), (ALIGNMENTS, ".phn")):
        missing = [f"{name}{suffix}" for name in names if not (root / folder / f"{name}{suffix}").is_file()]
        if missing:
            raise UserError(
                f"{root / folder}: {len(missing)} of {len(names)} files are missing: {' '.join(missing[:NUM_NAMED])}"
                f"{' ...' * (len(missing) > NUM_NAMED)}; the copy is not complete: clone it again"
            )
    return {name: name in held_out for name in names}


def check_content(root: Path, names: Iterable[str]) -> None:
    """Refuse a corpus that is not, byte for byte, the one that the recipe's results were measured on."""
    files = ((AUDIO, ".wav"), (AUDIO, TRANSCRIPT), (ALIGNMENTS, ".phn"))
    checksum = content_checksum(root, (folder / f"{name}{suffix}" for name in names for folder, suffix in files))
    if checksum != CONTENT_SHA256:
        raise UserError(
            f"{root}: SHA-256 of the contents is {checksum}, expected {CONTENT_SHA256} (commit 83c5b428); "
            "clone it again, or pass --check_content false if you mean to use another version"
        )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, accents composed; a `UserError` if it is not UTF-8."""
    try:
        return unicodedata.normalize("NFC", path.read_text(encoding="utf-8")).splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; the copy is damaged: clone it again") from None


def read_phones(path: Path) -> tuple[Phone, ...]:
    """Read lines of "<begin> <end> <phone>", in seconds, as they stand.

    Raises:
        UserError: no line, or one of another form.
    """
    phones = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            start, end, label = line.split()
            phones.append(Phone(float(start), float(end), label))
        except ValueError:
            raise UserError(
                f"{path}:{number}: expected '<begin> <end> <phone>', got '{line[:80]}'; clone it again"
            ) from None
    if not phones:
        raise UserError(f"{path}: no phones in it; the copy is damaged: clone it again")
    return tuple(phones)


def without_tones(text: str) -> str:
    """The same letters without accents: a for á."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def is_overlapping(phones: tuple[Phone, ...]) -> bool:
    """Whether a phone begins before the one before it ends, or does not end after its own begin."""
    ends_before_begin = any(phone.end_seconds <= phone.start_seconds for phone in phones)
    return ends_before_begin or any(later.start_seconds < earlier.end_seconds for earlier, later in pairwise(phones))


def is_transcript_of(text: str, phones: tuple[Phone, ...]) -> bool:
    """Whether the phones, one letter each, are the letters of the transcript in their order; tones may differ."""
    spoken = "".join(phone.label for phone in phones if phone.label != SILENCE).lower()
    return without_tones(spoken) == without_tones("".join(text.split()))


def mend_audio(path: Path, audio_dir: Path) -> tuple[Path, float]:
    """The audio of an utterance and its seconds; one that ends before its header says is written anew.

    Raises:
        UserError: not 16 kHz mono WAV.
    """
    import soundfile

    try:
        with wave.open(str(path), "rb") as header:
            num_promised = header.getnframes()
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (wave.Error, EOFError, soundfile.LibsndfileError) as error:
        raise UserError(f"{path}: not readable as WAV ({error}); clone the corpus again") from None
    if (rate, samples.shape[1]) != (SAMPLE_RATE, 1):
        raise UserError(f"{path}: {rate} Hz, {samples.shape[1]} channels; expected 16000 Hz, mono")
    if len(samples) < num_promised:
        audio_dir.mkdir(parents=True, exist_ok=True)
        path = audio_dir / path.name
        soundfile.write(path, samples, rate, "PCM_16")
    return path, len(samples) / rate


def earlier(phones: tuple[Phone, ...], shift_seconds: float, audio_seconds: float) -> tuple[Phone, ...]:
    """The same phones, all `shift_seconds` earlier; what comes to lie outside of the audio is cut off."""

    def moved(seconds: float) -> float:
        return min(max(seconds - shift_seconds, 0.0), audio_seconds)

    shifted = (Phone(moved(phone.start_seconds), moved(phone.end_seconds), phone.label) for phone in phones)
    return tuple(phone for phone in shifted if phone.start_seconds < phone.end_seconds)


def read_utterance(root: Path, name: str, audio_dir: Path, keep_tones: bool, shift_seconds: float) -> Utterance | str:
    """One utterance with its transcript and phones, or why it is left out.

    Args:
        audio_dir: gets audio whose header was wrong.
        shift_seconds: by which the phones are made earlier.

    Raises:
        UserError: a damaged file, an unknown speaker, or audio that ends before its phones.
    """
    text = " ".join(" ".join(read_lines(root / AUDIO / f"{name}{TRANSCRIPT}")).split())
    phones = read_phones(root / ALIGNMENTS / f"{name}.phn")
    if is_overlapping(phones):
        return OVERLAPPING
    if not is_transcript_of(text, phones):
        return OTHER_WORDS
    audio, speaker = root / AUDIO / f"{name}.wav", name.split("_")[0]
    if speaker not in SPEAKERS:
        raise UserError(f"{audio}: speaker '{speaker}'; expected one of {', '.join(SPEAKERS)}")
    mended, seconds = mend_audio(audio, audio_dir)
    if seconds < phones[-1].end_seconds:
        raise UserError(
            f"{audio}: {seconds:.3f} s of audio, but phones up to {phones[-1].end_seconds:.3f} s; "
            "the file is cut short: clone the corpus again"
        )
    phones = earlier(phones, shift_seconds, seconds)
    if not keep_tones:
        phones = tuple(phone._replace(label=without_tones(phone.label)) for phone in phones)
    return Utterance(name, speaker, str(mended), text, LANGUAGE, phones=phones)


def set_of(speaker: str, is_held_out: bool) -> str:
    """The set of an utterance: all of the third speaker is test, the corpus's dev half of the others dev."""
    if speaker == TEST_SPEAKER:
        return "test"
    return "dev" if is_held_out else "train"


def counted(utterances: Iterable[Utterance], spoken: Counter) -> Iterator[Utterance]:
    """The same utterances; adds up the seconds of their phones."""
    for one in utterances:
        for phone in one.phones:
            spoken[phone.label == SILENCE] += phone.end_seconds - phone.start_seconds
        yield one


def shift(text: str) -> float:
    """A time of the command line, in seconds.

    Raises:
        argparse.ArgumentTypeError: no number, or too large for seconds.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not abs(seconds) <= GREATEST_SHIFT_SECONDS:
        raise argparse.ArgumentTypeError(
            f"'{text}': expected seconds between -{GREATEST_SHIFT_SECONDS:g} and {GREATEST_SHIFT_SECONDS:g}"
        )
    return seconds


def main() -> None:
    """Check the corpus, leave out what is aligned wrongly, write the sets, say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="a clone of mboshi-french-parallel-corpus")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/, dev/ and test/ (tables)")
    parser.add_argument("--audio_dir", type=Path, required=True, help="folder for audio whose header was wrong")
    parser.add_argument("--check_content", choices=("true", "false"), default="true", help="compare the SHA-256")
    parser.add_argument("--keep_tones", choices=("true", "false"), default="true", help="in the labels of phones.ctm")
    parser.add_argument(
        "--phone_shift", type=shift, default=PHONE_SHIFT_SECONDS,
        help="seconds by which the published times of phones are late (%(default)s); 0 takes them as they are",
    )  # fmt: skip
    arguments = parser.parse_args()
    root, audio_dir = arguments.root.absolute(), arguments.audio_dir.absolute()
    held_out = list_files(root)
    if arguments.check_content == "true":
        check_content(root, held_out)
    sets: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    left_out: Counter[str] = Counter()
    for name, is_held_out in held_out.items():
        result = read_utterance(root, name, audio_dir, arguments.keep_tones == "true", arguments.phone_shift)
        if isinstance(result, Utterance):
            sets[set_of(result.speaker, is_held_out)].append(result)
        else:
            left_out[result] += 1
    reasons = ", ".join(f"{left_out[reason]} {reason}" for reason in (OVERLAPPING, OTHER_WORDS))
    print(f"{len(held_out)} utterances; left out: {reasons}")
    num_mended = sum(Path(one.wav).parent == audio_dir for utterances in sets.values() for one in utterances)
    print(f"{num_mended} files are shorter than their header says: written anew to {arguments.audio_dir}")
    for dset, utterances in sets.items():
        spoken: Counter[bool] = Counter()
        summary = write_data_dir(arguments.output_dir / dset, counted(utterances, spoken))
        minutes = sum(spoken.values()) / 60
        print(
            f"{dset}: {summary.num_speakers} speakers, {summary.num_utterances} utterances, {minutes:.2f} minutes with "
            f"phone times, {spoken[True] / 60:.2f} of them silence"
        )


if __name__ == "__main__":
    run_main(main)
