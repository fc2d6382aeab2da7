"""Speech Commands v1 in, the sets of keyword spotting out: ten words, all others, and silence."""

import hashlib
import re
from pathlib import Path

import soundfile

from espnet2.data_prep.superb.base import SuperbCorpus, require_folder, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError

TASK = "ks"
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE, NOISE = "_unknown_", "_silence_", "_background_noise_"
CLASSES = (*WORDS, UNKNOWN, SILENCE)
TRAIN_FOLDER, TEST_FOLDER = "speech_commands_v0.01", "speech_commands_test_set_v0.01"
MAX_HASH = 2**27 - 1  # the corpus's README: which_set
DEV_PERCENT, TEST_PERCENT = 10, 10
PIECE_SECONDS = 1.0  # of silence; s3prl, speech_commands/dataset.py


class SpeechCommands(SuperbCorpus):
    """Both archives, unpacked into folders of their names."""

    name = "speech_commands"
    title = "Speech Commands v1"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        expected = f"expected {TRAIN_FOLDER} and {TEST_FOLDER} of {self.title}"
        train_root, test_root = (require_folder(root / name, expected) for name in (TRAIN_FOLDER, TEST_FOLDER))
        silence = _silence(require_folder(train_root / NOISE, "it has the noise that is silence"))
        sets: dict[str, dict[str, tuple[Path, str]]] = {"train": {}, "dev": {}}
        for folder in sorted(path for path in train_root.iterdir() if path.is_dir() and path.name != NOISE):
            label = folder.name if folder.name in WORDS else UNKNOWN
            for file in sorted(folder.glob("*.wav")):
                part = which_set(file.name)
                if part != "test":  # the official test set is an archive of its own
                    sets[part][f"{folder.name}-{file.stem}"] = (file, label)
        test = {
            f"{folder.name}-{file.stem}": (file, folder.name)
            for folder in sorted(path for path in test_root.iterdir() if path.is_dir())
            for file in sorted(folder.glob("*.wav"))
        }
        missing = sorted(set(CLASSES) - {label for _, label in test.values()})
        if missing:
            raise UserError(
                f"{test_root}: no file of {', '.join(missing)}; expected a folder of each of the 12 classes"
            )
        for part, files in sets.items():
            _write(data / TASK / part, files, silence)
        _write(data / TASK / "test", test, {})
        return [TASK]


def which_set(file_name: str) -> str:
    """train, dev or test: by a hash of the speaker, so that nobody is in two (the corpus's README).

    >>> which_set("0a7c2a8d_nohash_0.wav") == which_set("0a7c2a8d_nohash_1.wav")
    True
    """
    speaker = re.sub(r"_nohash_.*$", "", file_name)
    digest = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    percent = (digest % (MAX_HASH + 1)) * (100.0 / MAX_HASH)
    return "dev" if percent < DEV_PERCENT else "test" if percent < DEV_PERCENT + TEST_PERCENT else "train"


def _silence(folder: Path) -> dict[str, tuple[Path, str]]:
    """Piece -> noise file and its segment: one second behind the other."""
    pieces = {}
    for file in sorted(folder.glob("*.wav")):
        info = soundfile.info(str(file))
        for number in range(int(info.frames / info.samplerate / PIECE_SECONDS)):
            start = number * PIECE_SECONDS
            pieces[f"{SILENCE}-{file.stem}-{number:03d}"] = (
                file,
                f"{SILENCE}-{file.stem} {start:g} {start + PIECE_SECONDS:g}",
            )
    if not pieces:
        raise UserError(f"{folder}: no noise file of a second or more: there would be no class {SILENCE}")
    return pieces


def _write(folder: Path, files: dict[str, tuple[Path, str]], silence: dict[str, tuple[Path, str]]) -> None:
    labels = {**{name: label for name, (_, label) in files.items()}, **dict.fromkeys(silence, SILENCE)}
    wavs = {name: str(file) for name, (file, _) in files.items()}
    if not silence:
        write_set(folder, wavs, {"labels": labels})
        return
    segments = {**{name: f"{name} 0 -1" for name in files}, **{name: segment for name, (_, segment) in silence.items()}}
    noises = {segment.split()[0]: str(file) for file, segment in silence.values()}
    write_set(folder, {**wavs, **noises}, {"labels": labels}, segments=segments)
