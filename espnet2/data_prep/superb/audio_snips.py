"""Audio SNIPS, as s3prl preprocesses it, in, the sets of slot filling out."""

from pathlib import Path

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_folder, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

FOLDERS = {"train": "train", "dev": "valid", "test": "test"}
# s3prl, ctc/snips.yaml.
SPEAKERS = {
    "train": ("Ivy", "Joanna", "Joey", "Justin", "Kendra", "Kimberly", "Matthew", "Salli"),
    "dev": ("Aditi", "Amy", "Geraint", "Nicole"),
    "test": ("Brian", "Emma", "Raveena", "Russell"),
}
TEXTS = "all.iob.snips.txt"
PUNCTUATION = "?!.,;-"  # words that are left out; & is spelt out. s3prl, ctc/text.py


class AudioSnips(SuperbCorpus):
    """{train,valid,test}/*.wav and all.iob.snips.txt: "<utterance> BOS <words> EOS<tab>O <slots> <intent>"."""

    name = "audio_snips"
    title = "Audio SNIPS"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        texts, slots = _read(root / TEXTS)
        for part, name in FOLDERS.items():
            folder = require_folder(root / name, f"expected {', '.join(FOLDERS.values())} of {self.title}")
            files = [file for file in sorted(folder.rglob("*.wav")) if file.stem.startswith(SPEAKERS[part])]
            missing = [file.stem for file in files if file.stem not in texts]
            if missing:
                raise UserError(f"{root / TEXTS}: no line of {first_names(missing, 3)}")
            wavs = {file.stem: str(file) for file in files}
            write_set(
                data / "sf" / part,
                wavs,
                {"text": {name: texts[name] for name in wavs}, "slots": {name: slots[name] for name in wavs}},
            )
        return ["sf"]


def _read(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Utterance -> words, utterance -> a slot per word."""
    texts, slots = {}, {}
    for number, line in enumerate(read_lines(path, "a line per utterance"), 1):
        left, tab, right = line.partition("\t")
        fields = left.split()
        words, tags = fields[2:-1], right.split()[1:-1]
        if not tab or len(words) != len(tags) or not words:
            raise UserError(
                f"{path}:{number}: {len(words)} words, {len(tags)} slots; expected as many, between BOS and EOS"
            )
        kept = [
            ("AND" if word == "&" else word, tag)
            for word, tag in zip(words, tags, strict=True)
            if word not in PUNCTUATION
        ]
        if not kept:
            raise UserError(f"{path}:{number}: punctuation only; expected words between BOS and EOS")
        texts[fields[0]], slots[fields[0]] = (" ".join(column) for column in zip(*kept, strict=True))
    return texts, slots
