"""Fluent Speech Commands in, the sets of intent classification out."""

import csv
from pathlib import Path

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_file, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError

FILES = {"train": "train_data.csv", "dev": "valid_data.csv", "test": "test_data.csv"}
SLOTS = ("action", "object", "location")
COLUMNS = ("path", "speakerId", *SLOTS)


class FluentSpeechCommands(SuperbCorpus):
    """The folder with data/*.csv and wavs/."""

    name = "fluent_speech_commands"
    title = "Fluent Speech Commands"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        for part, name in FILES.items():
            path = require_file(root / "data" / name, f"expected {', '.join(FILES.values())} of {self.title}")
            rows = _rows(path)
            wavs = {utt_id: str(require_file(root / row["path"], f"{path} names it")) for utt_id, row in rows.items()}
            labels = {utt_id: "\t".join(row[slot] for slot in SLOTS) for utt_id, row in rows.items()}
            speakers = {utt_id: row["speakerId"] for utt_id, row in rows.items()}
            write_set(data / "ic" / part, wavs, {"labels": labels, "utt2spk": speakers})
        return ["ic"]


def _rows(path: Path) -> dict[str, dict[str, str]]:
    """Utterance -> its line.

    Raises:
        UserError: it is no table with these columns, or has an utterance twice.
    """
    reader = csv.DictReader(read_lines(path, "a line per utterance"))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise UserError(f"{path}:1: no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    rows: dict[str, dict[str, str]] = {}
    for number, row in enumerate(reader, 2):
        if any(not row[column] for column in COLUMNS):
            raise UserError(f"{path}:{number}: a value of {', '.join(COLUMNS)} is missing")
        if _utterance(row) in rows:
            raise UserError(f"{path}:{number}: {_utterance(row)} is there twice")
        rows[_utterance(row)] = row
    return rows


def _utterance(row: dict[str, str]) -> str:
    return f"{row['speakerId']}-{Path(row['path']).stem}"
