"""IEMOCAP in, the five folds of emotion recognition out."""

import re
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_folder, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes

SESSIONS = tuple(f"Session{number}" for number in range(1, 6))
LABELS = {"neu": "neu", "hap": "hap", "exc": "hap", "ang": "ang", "sad": "sad"}  # excited counts as happy
DEV_SHARE = 0.2  # s3prl, emotion/config.yaml: valid_ratio
LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\S+)\t(\w+)\t")


class _Spoken(NamedTuple):
    wav: str
    label: str
    speaker: str


class Iemocap(SuperbCorpus):
    """Session1 to Session5 with dialog/EmoEvaluation and sentences/wav."""

    name = "iemocap"
    title = "IEMOCAP"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        sessions = [_read(require_folder(root / name, f"expected {', '.join(SESSIONS)}")) for name in SESSIONS]
        for number, test in enumerate(sessions, 1):
            others = {name: spoken for session in sessions if session is not test for name, spoken in session.items()}
            order = sorted(others, key=hash_bytes)
            dev = set(order[: round(DEV_SHARE * len(order))])
            fold = data / "er" / f"fold{number}"
            _write(fold / "train", {name: spoken for name, spoken in others.items() if name not in dev})
            _write(fold / "dev", {name: others[name] for name in dev})
            _write(fold / "test", test)
        return ["er"]


def _read(session: Path) -> dict[str, _Spoken]:
    """Utterance -> what was said how, of the four classes."""
    folder = require_folder(session / "dialog" / "EmoEvaluation", "expected the labels of IEMOCAP")
    wavs = {file.stem: file for file in (session / "sentences" / "wav").glob("*/*.wav")}
    spoken = {}
    # The archive has files of another system beside them, ._<name>, which are no text.
    for path in sorted(path for path in folder.glob("*.txt") if not path.name.startswith(".")):
        for line in read_lines(path, "a line per utterance"):
            match = LINE.match(line)
            if match and match[2] in LABELS:
                if match[1] not in wavs:
                    raise UserError(f"{path}: {match[1]} has no file in {session}/sentences/wav")
                spoken[match[1]] = _Spoken(str(wavs[match[1]]), LABELS[match[2]], match[1].split("_")[0])
    if not spoken:
        raise UserError(f"{folder}: no line '[<start> - <end>] <utterance> <label>' of {', '.join(LABELS)}")
    return spoken


def _write(folder: Path, spoken: dict[str, _Spoken]) -> None:
    labels = {name: utterance.label for name, utterance in spoken.items()}
    speakers = {name: utterance.speaker for name, utterance in spoken.items()}
    wavs = {name: utterance.wav for name, utterance in spoken.items()}
    write_set(folder, wavs, {"labels": labels, "utt2spk": speakers})
