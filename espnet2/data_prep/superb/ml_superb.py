"""ML-SUPERB in, the sets of its monolingual and multilingual tracks and of language identification out."""

import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_file, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError

# ESPnet, egs2/ml_superb/asr1/local/single_lang_data_prep.py: language of the monolingual track -> source of training.
MONOLINGUAL = {
    "eng1": "mls", "eng2": "nchlt", "eng3": "voxpopuli", "fra1": "voxforge", "fra2": "voxpopuli", "deu1": "swc",
    "deu2": "voxpopuli", "rus": "M-AILABS", "swa": "ALFFA", "swe": "NST", "jpn": "commonvoice", "cmn": "fleurs",
    "xty": "mexico-el",
}  # fmt: skip
# data_prep.py there: languages of which the multilingual track has five utterances only, which the lists do not tell.
RESERVED = frozenset(
    "dan lit tur srp vie kaz zul tsn epo frr tok umb bos ful ceb luo kea sun tso tos".split()
)  # fmt: skip


class MlSuperbOptions(Config):
    """Of ML-SUPERB."""

    duration: Literal["10min", "1h"] = Field("10min", description="of training, of every language and source")


class _Spoken(NamedTuple):
    wav: str
    text: str
    language: str


class MlSuperb(SuperbCorpus):
    """<source>/<language>/{wav/*.wav, transcript_{10min,1h}_train.txt, transcript_10min_{dev,test}.txt}."""

    name = "ml_superb"
    title = "ML-SUPERB"
    options_type = MlSuperbOptions

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        assert isinstance(options, MlSuperbOptions)
        lists = {
            "train": f"transcript_{options.duration}_train.txt",
            "dev": "transcript_10min_dev.txt",
            "test": "transcript_10min_test.txt",
        }
        folders = sorted(path for path in root.glob("*/*") if (path / lists["train"]).is_file())
        if not folders:
            raise UserError(f"{root}: no <source>/<language>/{lists['train']}; expected ML-SUPERB, see doc/superb.md")
        read = {part: {folder: _read(folder, name) for folder in folders} for part, name in lists.items()}
        for part, of_folders in read.items():
            everything = _joined({f: spoken for f, spoken in of_folders.items() if f.name not in RESERVED})
            _write(data / "ml_multi" / part, everything)
            _write(data / "lid" / part, everything)
        tasks = ["ml_multi", "lid"]
        for language, source in MONOLINGUAL.items():
            folder = root / source / language[:3]
            if folder not in folders:
                continue
            for part in ("train", "dev"):
                _write(data / "ml_mono" / language / part, read[part][folder])
            same = [other for other in folders if other.name == language[:3]]  # tested on all sources of the language
            test = _joined({other: read["test"][other] for other in same})
            _write(data / "ml_mono" / language / "test", test)
            tasks = ["ml_mono", "ml_multi", "lid"]
        return tasks


def normalised(text: str) -> str:
    """Upper case, without notes in brackets and punctuation: ESPnet's process_text.

    >>> normalised("Hello, [noise] it's me.")
    'HELLO ITS ME'
    """
    plain = re.sub(r"\[[^()]*\]", "", text).translate(str.maketrans("", "", string.punctuation)).upper()
    return " ".join(plain.split())


def _read(folder: Path, name: str) -> dict[str, _Spoken]:
    spoken: dict[str, _Spoken] = {}
    path = folder / name
    for number, line in enumerate(read_lines(path, "a line per utterance"), 1):
        words = line.split(maxsplit=2)
        if len(words) != 3:
            raise UserError(f"{path}:{number}: expected '<utterance> <id> <text>', got '{line[:80]}'")
        wav = require_file(folder / "wav" / f"{words[0]}.wav", f"{path}:{number} names it")
        if text := normalised(words[2]):
            spoken[words[0]] = _Spoken(str(wav), text, folder.name)
    return spoken


def _joined(of_folders: Mapping[Path, Mapping[str, _Spoken]]) -> dict[str, _Spoken]:
    """The utterances of several folders.

    Raises:
        UserError: two folders have one name: one of both would be left out without a word.
    """
    everything: dict[str, _Spoken] = {}
    for folder, utterances in of_folders.items():
        twice = everything.keys() & utterances.keys()
        if twice:
            raise UserError(f"{folder}: {min(twice)} is in another folder, too; names have to be of one utterance only")
        everything |= utterances
    return everything


def _write(folder: Path, spoken: dict[str, _Spoken]) -> None:
    tables = {
        "text": {name: utterance.text for name, utterance in spoken.items()},
        "utt2lang": {name: utterance.language for name, utterance in spoken.items()},
    }
    write_set(folder, {name: utterance.wav for name, utterance in spoken.items()}, tables)
