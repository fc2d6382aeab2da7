"""The type `Item`: one utterance of somebody else's shard or manifest, and where its audio lies."""

import json
import re
from dataclasses import asdict, dataclass

from espnet2.data.audio.source import open_source
from espnet2.data.format.as_is import Header
from espnet2.data_prep.tables import Phone
from espnet2.utils.errors import UserError


@dataclass(frozen=True, slots=True)
class Fields:
    """What things are called in the source; "" where they are not taken."""

    audio: str = "audio"  # Parquet: the column
    key: str = ""  # Parquet: of the utterance's name; by default that of the audio's path
    text: str = ""
    speaker: str = ""
    language: str = ""
    alignment: str = ""  # lhotse: the alignment that holds phones


@dataclass(frozen=True, slots=True)
class Item:
    """One utterance."""

    key: str  # its name in the source
    entry: str  # of the recording
    header: Header
    where: str  # for messages: the shard, and where in it
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    start_seconds: float | None = None  # into the recording; None: all of it
    end_seconds: float | None = None
    phones: tuple[Phone, ...] = ()

    def to_line(self) -> str:
        """As a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Item":
        values = json.loads(line)
        values["header"] = Header(*values["header"])
        values["phones"] = tuple(Phone(*phone) for phone in values["phones"])
        return cls(**values)


def header_at(entry: str, where: str) -> Header:
    """What the header of an audio file says, wherever it lies.

    Raises:
        UserError: it is not there, or is not audio.
    """
    try:
        with open_source(entry) as audio:
            if not audio.frames or audio.cut or audio.missing_frames:
                raise UserError(
                    f"{where}: {audio.cut or 'holds fewer samples than its header says'}: the audio is cut short"
                )
            return Header(audio.frames, audio.sample_rate, audio.channels, audio.format, audio.subtype)
    except FileNotFoundError:
        raise UserError(f"{where}: {entry}: no such file") from None
    except UserError:
        raise
    except Exception as error:  # ValueError, OSError, LibsndfileError (a RuntimeError), MixedAudio
        if not isinstance(error, ValueError | OSError | RuntimeError) and type(error).__name__ != "MixedAudio":
            raise
        raise UserError(f"{where}: no readable audio ({getattr(error, 'error_string', error)})") from None


def as_id(name: str) -> str:
    """A name that Kaldi's tables can hold.

    >>> as_id("part 1/a:b")
    'part_1_a:b'
    """
    return re.sub(r"[\s/]+", "_", name.strip())
