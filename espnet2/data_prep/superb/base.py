"""What a preparer of a corpus of SUPERB is, and the sets that it writes: whole or not there."""

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from espnet2.data_prep.tables import replace_folder
from espnet2.utils.config import Config, parse_config
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import write_table
from espnet2.utils.registry import part_class, part_names

PACKAGE = "espnet2.data_prep.superb"
CARD = "superb.json"  # beside the sets of a task: which corpus they are
Table = Mapping[str, str]


class NoOptions(Config):
    """A corpus that needs none."""


class SuperbCorpus(ABC):
    """One corpus: the one subclass in data_prep/superb/<name>.py."""

    name: ClassVar[str]  # of its file
    title: ClassVar[str]  # in tables
    options_type: ClassVar[type[Config]] = NoOptions

    @abstractmethod
    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        """Write <data>/<task>/{train,dev,test}.

        Args:
            root: the corpus as it unpacks.

        Returns:
            Names of the tasks that can run now.

        Raises:
            UserError: a file of the corpus is missing or malformed; sets that were whole before stay.
        """


def prepare_corpus(name: str, root: Path, data: Path, values: Mapping[str, object]) -> list[str]:
    """Run the preparer of a corpus.

    Raises:
        UserError: an unknown corpus or option, no such folder; and of the preparer.
    """
    corpus = part_class(PACKAGE, name, SuperbCorpus, key="--corpus", kind="corpus")()
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected {corpus.title} as it unpacks, see doc/superb.md")
    tasks = corpus.prepare(root, data, parse_config(corpus.options_type, values, f"options of {name}"))
    for task in tasks:
        (data / task / CARD).write_text(json.dumps({"corpus": corpus.title, "official": True}) + "\n", encoding="utf-8")
    return tasks


def corpus_names() -> list[str]:
    """All corpora."""
    return part_names(PACKAGE)


def write_set(folder: Path, wavs: Table, tables: Mapping[str, Table], *, segments: Table | None = None) -> None:
    """A Kaldi folder, sorted.

    Args:
        wavs: utterance (with segments: recording) -> file.
        tables: file name -> utterance -> value; utt2spk is made where it is not among them.
        segments: utterance -> "<recording> <start s> <end s>"; an end of -1 is that of the recording.

    Raises:
        UserError: no utterance, or an id or a path that a table cannot hold.
    """
    utterances = sorted(wavs if segments is None else segments)
    if not utterances:
        raise UserError(f"{folder}: no utterance; the corpus is not what was expected, see doc/superb.md")
    for name in (*wavs, *utterances):
        if not name or name.split() != [name]:
            raise UserError(f"{folder}: the id {name!r} is empty or has blanks: no table can hold it; rename the file")
    speakers = tables.get("utt2spk") or {name: name for name in utterances}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        new = Path(work) / "set"
        new.mkdir(mode=0o777)
        write_table(new / "wav.scp", ((name, str(wavs[name])) for name in sorted(wavs)))
        for table, values in {**tables, "utt2spk": speakers}.items():
            write_table(new / table, ((name, values[name]) for name in sorted(values)))
        if segments is not None:
            write_table(new / "segments", ((name, segments[name]) for name in utterances))
        replace_folder(new, folder)


def require_file(path: Path, what: str) -> Path:
    """A file of a corpus.

    Raises:
        UserError: it is missing.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; {what}, see doc/superb.md")
    return path


def require_folder(path: Path, what: str) -> Path:
    """A folder of a corpus.

    Raises:
        UserError: it is missing.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; {what}, see doc/superb.md")
    return path


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a list, without their ends.

    Raises:
        UserError: it is missing, empty or not UTF-8.
    """
    try:
        lines = require_file(path, what).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; convert the file with iconv") from None
    if not lines:
        raise UserError(f"{path} is empty; {what}, see doc/superb.md")
    return lines
