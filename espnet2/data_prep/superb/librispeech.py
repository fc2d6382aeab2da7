"""LibriSpeech in, the sets of speech and phoneme recognition out."""

from pathlib import Path

from pydantic import Field

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_folder, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

PARTS = {"train": "train-clean-100", "dev": "dev-clean", "test": "test-clean"}


class LibriSpeechOptions(Config):
    """Of LibriSpeech."""

    lexicon: tuple[Path, ...] = Field(
        (), description="files of lines <word> <phone> ...; the first pronunciation counts; without any: no pr"
    )


class LibriSpeech(SuperbCorpus):
    """train-clean-100, dev-clean and test-clean; for phones a lexicon with every word."""

    name = "librispeech"
    title = "LibriSpeech 100 h"
    options_type = LibriSpeechOptions

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        assert isinstance(options, LibriSpeechOptions)
        root = root if (root / PARTS["dev"]).is_dir() else root / "LibriSpeech"
        lexicon = _lexicon(options.lexicon)
        for part, name in PARTS.items():
            wavs, texts = _read(require_folder(root / name, f"expected {', '.join(PARTS.values())} of LibriSpeech"))
            speakers = {utt_id: utt_id.split("-")[0] for utt_id in wavs}
            write_set(data / "asr" / part, wavs, {"text": texts, "utt2spk": speakers})
            if lexicon:
                phones = _phones(texts, lexicon, root / name)
                write_set(data / "pr" / part, wavs, {"text": phones, "utt2spk": speakers})
        return ["asr", *(["pr"] if lexicon else [])]


def _read(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Utterance -> file, utterance -> words.

    Raises:
        UserError: audio without words, or words without audio.
    """
    wavs = {file.stem: str(file) for file in folder.glob("*/*/*.flac")}
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*/*/*.trans.txt")):
        for line in read_lines(path, "a line per utterance"):
            utt_id, _, text = line.partition(" ")
            texts[utt_id] = text
    different = sorted(wavs.keys() ^ texts.keys())
    if different or not wavs:
        raise UserError(f"{folder}: {len(wavs)} files, {len(texts)} texts; not in both: {first_names(different, 3)}")
    return wavs, texts


def _lexicon(files: tuple[Path, ...]) -> dict[str, str]:
    lexicon: dict[str, str] = {}
    for path in files:
        for number, line in enumerate(read_lines(path, "expected a lexicon"), 1):
            word, *phones = line.split()
            if not phones:
                raise UserError(f"{path}:{number}: expected '<word> <phone> ...', got '{line}'")
            lexicon.setdefault(word, " ".join(phones))
    return lexicon


def _phones(texts: dict[str, str], lexicon: dict[str, str], folder: Path) -> dict[str, str]:
    unknown = sorted({word for text in texts.values() for word in text.split() if word not in lexicon})
    if unknown:
        raise UserError(f"{folder}: the lexicon has no {first_names(unknown, 3)}: s3prl's two lexicons have every word")
    return {utt_id: " ".join(lexicon[word] for word in text.split()) for utt_id, text in texts.items()}
