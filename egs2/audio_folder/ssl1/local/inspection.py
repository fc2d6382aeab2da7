"""One audio file in, what the recipe has to know of it out: length, parts to train on, or why it is unusable."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from espnet2.data.audio import av_audio
from espnet2.data.audio.decode import open_recording
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format.convert import convert_blocks
from espnet2.data.format.plan import FormatOptions
from espnet2.data_prep.vad import CutOptions, Part, SpeechDetector, cut_at_pauses, cut_evenly
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_value

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au", ".caf", *av_audio.SUFFIXES)
VAD_AUDIO = FormatOptions(16000, "wav", 0)  # the first channel, as stage 3 takes it
NO_SPEECH = "no_speech"  # readable, but nothing in it to train on: not counted among the unreadable
VERSION = 1  # of what `inspect` finds; another number makes it look at everything again


@dataclass(frozen=True)
class InspectOptions:
    """How files become parts."""

    cut: str  # "vad", "fixed" or "none"
    cut_above_seconds: float  # longer files are cut
    with_hash: bool  # of the contents, to find duplicates
    parts: CutOptions

    @property
    def key(self) -> str:
        """Names everything that decides an inspection's result."""
        return hash_value({"version": VERSION, **asdict(self)})


class Inspected(NamedTuple):
    """What is known of a file."""

    path: str  # below the root
    num_bytes: int
    changed_at: int  # nanoseconds
    seconds: float
    parts: tuple[Part, ...]  # empty: the whole file
    reason: str  # one word why it is unusable, or ""
    detail: str
    content: str  # SHA-256, or ""

    def to_line(self) -> str:
        """As a line of JSON; a name that is not UTF-8 survives."""
        return json.dumps(self) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Inspected":
        fields = json.loads(line)
        return cls(*fields)._replace(parts=tuple(Part(*part) for part in fields[4]))


def inspect(root: Path, path: str, options: InspectOptions, scratch: Path) -> Inspected:
    """Read a file's header, and all of it if it has to be cut; what is wrong with it is in the result.

    Args:
        scratch: folder for decoded audio meanwhile.
    """
    file = root / path
    seconds, parts, reason, detail, content, num_bytes, changed_at = 0.0, [], "", "", "", 0, 0
    try:
        state = file.stat()
        num_bytes, changed_at = state.st_size, state.st_mtime_ns
        _check_name(str(file))
        seconds, parts = _measure(str(file), options, scratch)
        content = _hash(file) if options.with_hash else ""
        if options.cut != "none" and seconds > options.cut_above_seconds and not parts:
            reason, detail = NO_SPEECH, f"{seconds:.1f} s without a part to train on"
    except RejectedAudio as error:
        reason, detail = error.reason, error.detail
    except OSError as error:
        reason, detail = "missing", f"{file}: {error.strerror}"
    return Inspected(path, num_bytes, changed_at, round(seconds, 4), tuple(parts), reason, detail, content)


def _check_name(file: str) -> None:
    """Refuse what a line of wav.scp cannot hold."""
    try:
        file.encode("utf-8")
    except UnicodeEncodeError:
        raise RejectedAudio("bad_name", f"{file!r}: the name is not UTF-8") from None
    if "\t" in file or "\r" in file or file != file.strip():
        raise RejectedAudio("bad_name", f"{file!r}: the name has a tab, or blanks at an end")


def _measure(file: str, options: InspectOptions, scratch: Path) -> tuple[float, list[Part]]:
    """The length in seconds, and the parts of a long file."""
    known = av_audio.duration_seconds(file) if av_audio.needs_pyav(file) else None
    if known is not None and (options.cut == "none" or known <= options.cut_above_seconds):
        return known, []
    with open_recording(file, scratch) as recording:
        start, stop = recording.whole()
        seconds = recording.seconds
        if options.cut == "none" or seconds <= options.cut_above_seconds:
            return seconds, []
        if options.cut == "fixed":
            return seconds, cut_evenly(seconds, options.parts)
        counter = _Counter(convert_blocks(recording, start, stop, VAD_AUDIO))
        probabilities = _detector().probabilities(counter)
        return seconds, cut_at_pauses(probabilities, counter.num_samples, options.parts)


class _Counter:
    """Blocks as they come, counted: lengths of MP3 are estimates."""

    def __init__(self, blocks: Iterator) -> None:
        self.blocks, self.num_samples = blocks, 0

    def __iter__(self) -> Iterator:
        for block in self.blocks:
            self.num_samples += len(block)
            yield block


@cache
def _detector() -> SpeechDetector:
    return SpeechDetector()


def _hash(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_results(path: Path) -> Iterator[Inspected]:
    """The lines of a file of results, in byte order of their paths; a last line that was cut short is left out.

    Raises:
        UserError: a line is damaged.
    """
    with open(path, encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith("\n"):
                try:
                    yield Inspected.from_line(line)
                except (ValueError, TypeError):
                    raise UserError(f"{path}:{number}: damaged; delete {path.parent} and run again") from None


def merged(first: Iterator[Inspected], second: Iterator[Inspected]) -> Iterator[Inspected]:
    """Two sorted streams as one; of the same path the second's."""
    left, right = next(first, None), next(second, None)
    while left is not None and right is not None:
        left_key, right_key = os.fsencode(left.path), os.fsencode(right.path)
        if left_key < right_key:
            yield left
            left = next(first, None)
        else:
            yield right
            if left_key == right_key:
                left = next(first, None)
            right = next(second, None)
    yield from chain([one for one in (left, right) if one is not None], first, second)
