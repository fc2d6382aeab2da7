"""An audio file, wherever it lies, as one row of frames: those of all recordings in it, in order.

The decoder is libsndfile. What a header says of the length is compared with what is there, never trusted: `links`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal

import numpy as np
import soundfile

from espnet2.data.audio.entry import parse_entry
from espnet2.data.audio.link import Link
from espnet2.data.audio.links import find_links
from espnet2.data.audio.opened import OpenedEntry, open_entry
from espnet2.data.audio.views import View

UNKNOWN_FRAMES = 1 << 62  # libsndfile's count where it knows none
# How libsndfile's log of a format that `links` does not know says that the file ends early.
SHORT_DATA = re.compile(r": (\d+) \(should be (\d+)\)")
LOGGED = ("VOC", "SVX", "MAT4")
SKIPPED_FRAMES = 1 << 16  # read at once on the way to a place that the decoder cannot seek
Dtype = Literal["int16", "float32"]


class MixedAudio(Exception):
    """Recordings of different rates or numbers of channels in one file."""


class AudioSource:
    """All frames of a file, as one row; several recordings in one file (`cat a.ogg b.ogg`) follow each other."""

    def __init__(self, opened: OpenedEntry, links: Sequence[Link]) -> None:
        """Open every recording once, for its length."""
        self.path, self.stream, self.links = opened.path, opened.stream, links
        self._is_as_stored = len(links) == 1 and tuple(links[0].parts) == (opened.range,)
        self.starts = [0]
        self.surplus_frames = self.missing_frames = 0  # more, or fewer, than the headers say
        self.cut = next((link.cut for link in links if link.cut), "")  # how the file ends, if that is no end
        self._number, self._audio, self._position = 0, self._open(0), 0
        first = self._audio
        self.sample_rate: int = first.samplerate  # Hz
        self.channels: int = first.channels
        self.format: str = first.format
        self.subtype: str = first.subtype
        for number, link in enumerate(links):
            audio = first if number == 0 else self._open(number)
            try:
                self._add(link, audio)
            finally:
                if audio is not first:
                    audio.close()

    def _add(self, link: Link, audio: soundfile.SoundFile) -> None:
        if (audio.samplerate, audio.channels) != (self.sample_rate, self.channels):
            raise MixedAudio(
                f"recordings of {self.channels} channel(s) at {self.sample_rate} Hz and of {audio.channels} "
                f"at {audio.samplerate} Hz in one file"
            )
        frames = audio.frames if audio.frames < UNKNOWN_FRAMES else 0
        self.surplus_frames += frames if len(self.starts) > 1 else 0  # the first header does not speak of the others
        self.starts.append(self.starts[-1] + frames)
        if link.stated is None and audio.format in LOGGED and _is_short(audio.extra_info):
            self.cut = self.cut or "is shorter than its header says"
        if link.stated is None:
            return
        if link.held:
            difference = frames - round(frames * link.stated / link.held)
            self.surplus_frames += max(0, difference)
            self.missing_frames += max(0, -difference)
        elif link.stated:
            self.cut = self.cut or f"holds none of {link.stated} bytes or samples"

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.starts[-1]

    @property
    def is_plain(self) -> bool:
        """The file is what its header says, and nothing but one recording."""
        return self.path is not None and self.is_whole

    @property
    def is_whole(self) -> bool:
        """The bytes, wherever they lie, are what their header says, and nothing but one recording."""
        return self._is_as_stored and not (self.missing_frames or self.cut)

    def _open(self, number: int) -> soundfile.SoundFile:
        native = self.path if self._is_as_stored else None
        audio = soundfile.SoundFile(native or View(self.stream, self.links[number].parts))
        # soundfile asks for the place and goes there at every read: GSM cannot, DWVW says that it could.
        audio.seekable = lambda: False
        return audio

    def close(self) -> None:
        """Close what is open."""
        self._audio.close()

    def read(self, start: int, count: int, dtype: Dtype) -> np.ndarray:
        """Frames from `start` on: (at most `count`, channels); none at the end.

        Raises:
            soundfile.LibsndfileError: the audio is damaged there.
        """
        while True:
            if start != self._position:
                self._go_to(start)
            block: np.ndarray = self._audio.read(count, dtype=dtype, always_2d=True)
            self._position += len(block)
            if len(block) or self._number + 1 == len(self.links):
                return block
            self._enter(self._number + 1)
            start = self._position

    def read_all(self, start: int, count: int) -> np.ndarray:
        """As `read`, in floats, across recordings: (`count`, channels), fewer only where the audio ends."""
        blocks = [self.read(start, count, "float32")]
        while len(blocks[-1]) and sum(map(len, blocks)) < count:
            done = sum(map(len, blocks))
            blocks.append(self.read(start + done, count - done, "float32"))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _enter(self, number: int) -> None:
        self._audio.close()
        self._audio = self._open(number)
        self._number, self._position = number, self.starts[number]

    def _go_to(self, start: int) -> None:
        """Seek; a decoder that cannot reads all that lies before."""
        number = max(index for index in range(len(self.links)) if self.starts[index] <= start or index == 0)
        if number != self._number:
            self._enter(number)
        offset = start - self.starts[number]
        try:
            self._audio.seek(offset)
            self._position = start
        except soundfile.LibsndfileError:
            if start < self._position or self._audio.subtype.startswith("DWVW"):
                self._enter(number)  # a failed attempt may have moved the decoder
            while self._position < start:
                skipped = self._audio.read(min(SKIPPED_FRAMES, start - self._position), dtype="int16", always_2d=True)
                if not len(skipped):
                    return
                self._position += len(skipped)


def _is_short(log: str) -> bool:
    return "truncated" in log or any(
        int(num_read) < int(num_stated) for num_stated, num_read in SHORT_DATA.findall(log)
    )


@contextmanager
def open_source(entry: str) -> Iterator[AudioSource]:
    """Open what an entry names, all of the recording if it names a part.

    Raises:
        FileNotFoundError, OSError, ValueError, soundfile.LibsndfileError, MixedAudio: it is missing, or is not audio.
        UserError: a store cannot be reached, or a package is not installed.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(open_entry(parse_entry(entry)))
        if not len(opened.range):
            raise ValueError("0 bytes")
        source = AudioSource(opened, find_links(opened.data, opened.range))
        stack.callback(source.close)
        yield source
