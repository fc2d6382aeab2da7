"""An audio entry of wav.scp or of an index in, where the audio lies out: which file, which bytes of it, which samples.

    x.flac                              a file that libsndfile reads
    x.ark:123                           an entry of a Kaldi ark
    x.tar:1536+48044                    48044 bytes from byte 1536 on: a member of a tar, or any other stretch of a file
    x.parquet:audio[3,17]               the bytes in row 17 (from 0) of row group 3 of a Parquet file
    <any of these>@16000+8000           8000 samples of it from sample 16000 on

Wherever a file stands, an object of a store may stand, too: s3://<bucket>/x.tar:1536+48044.
"""

import re
from dataclasses import dataclass

_SPAN = re.compile(r"(.+)@(\d+)\+(\d+)")
_BYTES = re.compile(r"(.+):(\d+)\+(\d+)")
_ROW = re.compile(r"(.+):([^:]+)\[(\d+),(\d+)\]")
ARK_ENTRY = re.compile(r"(.+):(\d+)")  # "<ark>:<byte offset>", as Kaldi writes it
_STORE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")


@dataclass(frozen=True)
class ArkOffset:
    """An entry of an ark: its bytes begin here."""

    offset: int


@dataclass(frozen=True)
class ByteRange:
    """A stretch of a file that is an audio file of its own."""

    start: int
    size: int


@dataclass(frozen=True)
class ParquetRow:
    """A cell of a Parquet file that holds an audio file."""

    column: str  # of bytes, or of Hugging Face's {bytes, path}
    group: int  # row group, from 0
    row: int  # in it, from 0


@dataclass(frozen=True)
class Entry:
    """Where one utterance's audio lies."""

    text: str  # as it was written
    file: str  # path, or address of an object in a store
    part: ArkOffset | ByteRange | ParquetRow | None = None  # None: all of the file
    first_sample: int = 0
    num_samples: int | None = None  # None: to the end

    @property
    def whole(self) -> "Entry":
        """The recording that the samples are of."""
        return self if self.num_samples is None else parse_entry(self.text.rpartition("@")[0])


def is_in_store(file: str) -> bool:
    """Whether a file is an object of a store, by its address.

    >>> is_in_store("s3://speech/train.tar"), is_in_store("/data/train.tar")
    (True, False)
    """
    return "://" in file and _STORE.fullmatch(file) is not None


def parse_entry(text: str) -> Entry:
    """Where an entry's audio lies; whether it is there is not asked.

    >>> parse_entry("s3://speech/0.tar:512+900@160+80").part
    ByteRange(start=512, size=900)
    """
    if ":" not in text and "@" not in text:
        return Entry(text, text)
    span = _SPAN.fullmatch(text)
    first, count = (int(span[2]), int(span[3])) if span else (0, None)
    rest = span[1] if span else text
    if match := _BYTES.fullmatch(rest):
        return Entry(text, match[1], ByteRange(int(match[2]), int(match[3])), first, count)
    if match := _ROW.fullmatch(rest):
        return Entry(text, match[1], ParquetRow(match[2], int(match[3]), int(match[4])), first, count)
    if match := ARK_ENTRY.fullmatch(rest):
        return Entry(text, match[1], ArkOffset(int(match[2])), first, count)
    return Entry(text, rest, None, first, count)


def samples_of(text: str, first: int, count: int) -> str:
    """The entry of so many samples of a whole recording.

    >>> samples_of("x.flac", 16000, 8000)
    'x.flac@16000+8000'
    """
    return f"{text}@{first}+{count}"
