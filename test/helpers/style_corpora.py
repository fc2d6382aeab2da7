"""A folder in, small corpora in the layouts that recipes of other toolkits expect out: noise, words without meaning."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from corpus_recipes import write_audio, write_lines

RATE = 8000  # of telephone calls and talks, Hz


def write_sphere(path: Path, seconds: float, *, channels: int = 1, subtype: str = "PCM_16", seed: int = 0) -> Path:
    """Noise in a SPHERE file, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal((int(seconds * RATE), channels))
    soundfile.write(path, samples, RATE, subtype, format="NIST")
    return path


def librispeech(root: Path) -> None:
    """Three parts of two chapters each."""
    base = root / "LibriSpeech"
    readers = {"dev-clean": (84, 174), "train-clean-a": (19, 26), "train-clean-b": (27, 32)}
    genders = [f"{name:<4} | {'FM'[name % 2]} | part | 25.19 | A Name" for names in readers.values() for name in names]
    write_lines(base / "SPEAKERS.TXT", [";ID  |SEX| SUBSET |MINUTES| NAME", *genders])
    for part, names in readers.items():
        for name in names:
            keys = [f"{name}-7-{number:04}" for number in range(2)]
            for seed, key in enumerate(keys):
                write_audio(base / part / str(name) / "7" / f"{key}.flac", 0.3 + 0.1 * seed, seed=name + seed)
            write_lines(base / part / str(name) / "7" / f"{name}-7.trans.txt", [f"{key} GOOD MORNING" for key in keys])


def an4(root: Path) -> None:
    """Four SPHERE files, lists of names and transcripts."""
    for part, names in (("train", ("fbbh/an1", "fash/an2", "mblw/an3")), ("test", ("fcaw/an4",))):
        for seed, name in enumerate(names):
            write_sphere(root / "an4" / "wav" / "an4_clstk" / f"{name}.sph", 0.4, seed=seed)
        words = [f"<s> YES NO </s> ({name.split('/')[1]})" for name in names]
        write_lines(root / "an4" / "etc" / f"an4_{part}.transcription", words)
        write_lines(root / "an4" / "etc" / f"an4_{part}.fileids", [f"an4_clstk/{name}" for name in names])
    write_lines(root / "an4" / "README", ["about"])


def fisher(root: Path) -> None:
    """Two calls of two channels in mu-law."""
    for number in (2001, 2002):
        write_sphere(root / "audio" / f"sw{number}.sph", 2.0, channels=2, subtype="ULAW", seed=number)
        lines = [
            f"sw{number}{side}-ms98-a-{turn:04} {turn / 2} {turn / 2 + 0.4} UH-HUH{' RIGHT' * (turn == 2)}"
            for side in "AB"
            for turn in (0, 1, 2)
        ]
        write_lines(root / "trans" / f"sw{number}.txt", lines)


def tedlium(root: Path) -> None:
    """A talk for each set, with an STM file."""
    for part, name in (("dev", "ADev"), ("train", "BTrain")):
        write_sphere(root / part / "sph" / f"{name}.sph", 4.0)
        turns = [(0.5, 1.2), (1.25, 2.0), (2.5, 3.5)]
        lines = [f"{name} 1 {name} {begin} {end} <F0_M> so {{NOISE}} we begin" for begin, end in turns]
        write_lines(root / part / "stm" / f"{name}.stm", lines)


def voxforge(root: Path) -> None:
    """Three submissions of two prompts with Windows line ends; one recording is missing."""
    for number, name in enumerate(("anna-20100101-aaa", "bert-20100102-bbb", "carl-20100103-ccc")):
        folder = root / "en" / "extracted" / name
        for part in (1, 2):
            if (number, part) != (2, 2):
                write_audio(folder / "wav" / f"b{part}.wav", 0.3, seed=number * 10 + part)
        (folder / "etc").mkdir(parents=True)
        prompts = "".join(f"{name}/mfc/b{part} Don't, stop!\r\n" for part in (1, 2))
        (folder / "etc" / "PROMPTS").write_text(prompts, newline="")


def jsut(root: Path) -> None:
    """Three recordings with silence before and behind the sound."""
    for number in range(3):
        sound = 0.3 * np.random.default_rng(number).standard_normal(8000)
        quiet = 0.0001 * np.random.default_rng(number + 10).standard_normal(6400)
        path = root / "wav" / f"BASIC_{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate([quiet, sound, quiet]), 16000)
    write_lines(root / "transcript_utf8.txt", [f"BASIC_{number}:m i z u o" for number in (2, 0, 1)])


def songs(root: Path) -> None:
    """Two songs; the last syllable goes on over two notes."""
    notes = ["0.1 0.4 k a_k 60", "0.4 0.7 a a 62", "0.7 0.9 a \u2014 64"]
    for name in ("song01", "song02"):
        write_audio(root / "wav" / f"{name}.wav", 1.0)
        lines = [line.replace("k a_k", "ka ka") for line in notes]
        write_lines(root / "notes" / f"{name}.txt", lines)


def chime(root: Path) -> None:
    """Two recordings of five microphones, and a list of simulated ones."""
    folder = root / "data" / "audio" / "16kHz" / "isolated"
    for name in ("F01_22GC010A_BUS", "M03_22HC010B_CAF"):
        for channel in range(1, 6):
            write_audio(folder / f"{name}.CH{channel}.wav", 0.3, seed=channel)
    mixtures = [
        {"name": f"F05_{number}", "mixture": str(folder / "x.wav"), "reference": "y.wav", "speaker": "F05"}
        for number in (2, 1)
    ]
    (root / "data" / "annotations").mkdir(parents=True)
    (root / "data" / "annotations" / "simulated.json").write_text(json.dumps(mixtures))


def commonvoice(root: Path) -> None:
    """Six clips of three people; the tables have Windows line ends."""
    rows = [
        f"client{number % 3:02}rest\tclip_{number}.mp3\tSaluton, mondo\t{'female' * (number % 2)}"
        for number in range(6)
    ]
    for part, chosen in (("validated", rows), ("test", rows[:1]), ("dev", rows[4:5])):
        path = root / "eo" / f"{part}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\r\n".join(["client_id\tpath\tsentence\tgender", *chosen]) + "\r\n", newline="")
    for number in range(6):
        write_audio(root / "eo" / "clips" / f"clip_{number}.mp3", 0.5, seed=number)


def mls(root: Path) -> None:
    """Two languages, two sets."""
    for language in ("german", "polish"):
        for part, names in (("train", ("10_1_000", "10_1_001", "9_2_000")), ("dev", ("7_1_000",))):
            folder = root / f"mls_{language}" / part
            for seed, name in enumerate(names):
                speaker, book, _ = name.split("_")
                write_audio(folder / "audio" / speaker / book / f"{name}.flac", 0.3, seed=seed)
            write_lines(folder / "transcripts.txt", [f"{name}\tein wort" for name in names])


def mustc(root: Path) -> None:
    """A talk of three sentences in two languages."""
    folder = root / "en-de" / "data" / "dev"
    write_audio(folder / "wav" / "ted_1.wav", 3.0)
    places = [(0.0, 0.8), (1.0, 0.7), (2.0, 0.9)]
    entries = [
        f"- {{duration: {length}, offset: {begin}, speaker_id: spk.1, wav: ted_1.wav}}" for begin, length in places
    ]
    write_lines(folder / "txt" / "dev.yaml", entries)
    write_lines(folder / "txt" / "dev.en", ["Thank you, so much!", "Now: it's late.", "We go"])
    write_lines(folder / "txt" / "dev.de", ["Danke \u2014 vielen Dank!", "Nun ist es sp\u00e4t.", "Wir gehen"])


def babel(root: Path) -> None:
    """Two calls with times on lines of their own."""
    for name in ("call_a", "call_b"):
        write_sphere(root / "audio" / f"{name}.sph", 3.0)
        lines = ["[0.000]", "<no-speech>", "[0.500]", "halo halo", "[1.500]", "ya", "[2.500]"]
        write_lines(root / "transcription" / f"{name}.txt", lines)


def voxceleb(root: Path) -> None:
    """Two speakers, two videos, two clips."""
    for speaker in ("id10001", "id10002"):
        for video in ("aaa", "bbb"):
            for clip in (1, 2):
                write_audio(root / "wav" / speaker / video / f"0000{clip}.wav", 0.3, seed=clip)


def diarization(root: Path) -> None:
    """Two meetings of two people."""
    for name in ("meet1", "meet2"):
        write_audio(root / "data" / "flac" / f"{name}.flac", 3.0)
        turns = [("anna", 0.0, 1.0), ("bert", 0.8, 1.2), ("anna", 2.0, 0.9)]
        lines = [f"SPEAKER {name} 1 {begin} {length} <NA> <NA> {who} <NA> <NA>" for who, begin, length in turns]
        write_lines(root / "data" / "rttm" / f"{name}.rttm", lines)


# Style -> what makes its corpus, and the name in db.sh.
STYLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "librispeech": (librispeech, "LIBRISPEECH"),
    "an4": (an4, "AN4"),
    "fisher": (fisher, "SWBD"),
    "tedlium": (tedlium, "TEDLIUM2"),
    "voxforge": (voxforge, "VOXFORGE"),
    "jsut": (jsut, "JSUT"),
    "songs": (songs, "KIRITAN"),
    "chime": (chime, "CHIME4"),
    "commonvoice": (commonvoice, "COMMONVOICE"),
    "mls": (mls, "MLS"),
    "mustc": (mustc, "MUST_C"),
    "babel": (babel, "BABEL"),
    "voxceleb": (voxceleb, "VOXCELEB"),
    "diarization": (diarization, "DIHARD2"),
}
