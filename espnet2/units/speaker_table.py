"""The table utt2spk of a set, where features depend on the speaker: read, and part of the name of the set."""

from pathlib import Path

from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.units.transform import TransformOptions
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file
from espnet2.utils.kaldi_table import read_table

TABLE = "utt2spk"


def read_speakers(data_dir: Path, options: TransformOptions) -> dict[str, str]:
    """Utterance -> speaker.

    Raises:
        UserError: there is no utt2spk.
    """
    require_speakers(data_dir, options)
    return read_table(data_dir / TABLE)


def require_speakers(data_dir: Path, options: TransformOptions) -> None:
    """Raises UserError where there is no utt2spk."""
    if not (data_dir / TABLE).is_file():
        raise UserError(
            f"{data_dir}/{TABLE}: no such file; --normalize {options.normalize} needs the speaker of each utterance: "
            "write it, or use utterance-mean"
        )


def speakers_mark(data_dir: Path, options: TransformOptions) -> str:
    """The hash of utt2spk where the features depend on it; empty where not.

    Raises:
        UserError: there is no utt2spk.
    """
    if not options.is_of_speakers:
        return ""
    require_speakers(data_dir, options)
    return hash_file(data_dir / TABLE)


def speakers_hash(index: AudioIndex | JoinedIndex, options: TransformOptions) -> str:
    """The hash of an index, and of its speakers where the features depend on them.

    Raises:
        UserError: there is no utt2spk.
    """
    if not options.is_of_speakers:
        return index.hash
    parts = index.parts if isinstance(index, JoinedIndex) else [index]
    return hash_bytes(index.hash, *(speakers_mark(part.directory.parent, options) for part in parts))
