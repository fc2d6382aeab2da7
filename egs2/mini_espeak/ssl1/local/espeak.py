"""Text in, samples and exact phone times out: the espeak-ng library through ctypes."""

import ctypes
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from speakers import Speaker

from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

# Constants of espeak-ng's speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS, INITIALIZE_PHONEME_IPA, INITIALIZE_DONT_EXIT = 1, 2, 0x8000
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
EVENT_LIST_TERMINATED, EVENT_PHONEME = 0, 7
POSITION_CHARACTER, CHARACTERS_UTF8 = 1, 1
PHONE_NAME_BYTES = 8

MAX_DATA_PATH = 130  # characters; beyond about 150 the library cannot open its own tables (tried)
SILENCE = "SIL"
NOT_PHONES = "ˈˌ‿-|_:'"  # stress, ties and separators that come with the names


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; `sample` is exact, `audio_position` (milliseconds) is not."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * PHONE_NAME_BYTES),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Phone(NamedTuple):
    """One phone and its place in the speech."""

    name: str  # IPA without stress marks, or "SIL"
    start_sample: int
    end_sample: int  # exclusive


class Speech(NamedTuple):
    """What the synthesiser said."""

    samples: np.ndarray  # (samples,) int16
    phones: list[Phone]  # contiguous, from the first sample to the last


@contextmanager
def voice_folder(speakers: list[Speaker]) -> Iterator[str]:
    """A temporary data folder for `Espeak`: links to the package's own data, plus one voice file per speaker."""
    source = Path(_loader().get_data_path())
    parent = None if len(tempfile.gettempdir()) < MAX_DATA_PATH - 20 else "/tmp"
    with tempfile.TemporaryDirectory(prefix="espeak-", dir=parent) as folder:
        data = Path(folder) / "espeak-ng-data"
        variants = data / "voices" / "!v"
        variants.mkdir(parents=True)
        for entry in source.iterdir():
            if entry.name != "voices":
                (data / entry.name).symlink_to(entry.resolve())
        for speaker in speakers:
            (variants / speaker.name).write_text(speaker.voice_file, encoding="utf-8")
        yield folder


def _loader():
    with needs("this corpus is synthesised with espeak-ng; install it: pip install espeakng-loader"):
        import espeakng_loader
    return espeakng_loader


class Espeak:
    """One voice of the library.

    What it says depends a little on what the process said before, and no call resets that: for the same bytes
    every time, give each speaker a process of its own.

    Args:
        folder: from `voice_folder`.
        speaker: the voice to take.
        language: espeak-ng's name of the language.
    """

    def __init__(self, folder: str, speaker: Speaker, *, language: str):
        self._library = ctypes.CDLL(_loader().get_library_path())
        flags = INITIALIZE_PHONEME_EVENTS | INITIALIZE_PHONEME_IPA | INITIALIZE_DONT_EXIT
        self.sample_rate: int = self._library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(folder), flags
        )  # Hz
        if self.sample_rate <= 0:
            raise UserError(
                f"espeak-ng does not start with the data in {folder}; reinstall: pip install espeakng-loader"
            )
        self._samples = bytearray()
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._collect)  # the library keeps no reference of its own
        self._library.espeak_SetSynthCallback(self._callback)
        voice = f"{language}+{speaker.name}"
        self._check(self._library.espeak_SetVoiceByName(voice.encode()), f"choose voice {voice}")

    def speak(self, text: str, *, words_per_minute: int, pitch: int, pitch_range: int) -> Speech:
        """Synthesise one sentence.

        Args:
            text: words and punctuation.
            words_per_minute: speaking rate.
            pitch, pitch_range: 0 to 100; 50 is the voice's own.
        """
        self._samples.clear()
        self._events.clear()
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        for parameter, value in (
            (PARAMETER_RATE, words_per_minute),
            (PARAMETER_PITCH, pitch),
            (PARAMETER_RANGE, pitch_range),
        ):
            self._check(self._library.espeak_SetParameter(parameter, value, 0), f"set parameter {parameter}")
        data = text.encode() + b"\0"
        size = ctypes.c_size_t(len(data))
        status = self._library.espeak_Synth(data, size, 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None)
        self._check(status, f"speak '{text}'")
        samples = np.frombuffer(bytes(self._samples), np.int16)
        return Speech(samples, merge_events(self._events, len(samples)))

    def _collect(self, samples, num_samples: int, events) -> int:
        """Called by the library with each piece of audio and the events in it."""
        if samples and num_samples > 0:
            self._samples += ctypes.string_at(samples, 2 * num_samples)
        index = 0
        while events[index].type != EVENT_LIST_TERMINATED:
            if events[index].type == EVENT_PHONEME:
                self._events.append((events[index].sample, _phone_name(events[index])))
            index += 1
        return 0

    @staticmethod
    def _check(status: int, action: str) -> None:
        if status != 0:
            raise UserError(f"espeak-ng cannot {action} (status {status}); reinstall: pip install espeakng-loader")


def _phone_name(event: _Event) -> str:
    """The name without stress marks; it may fill all eight bytes, without a NUL, and be cut inside a letter."""
    start = _Event.name.offset
    raw = bytes(event)[start : start + PHONE_NAME_BYTES].split(b"\0")[0]
    name = unicodedata.normalize("NFC", raw.decode("utf-8", errors="ignore"))
    return "".join(letter for letter in name if letter not in NOT_PHONES)


def merge_events(events: list[tuple[int, str]], num_samples: int) -> list[Phone]:
    """Turn (first sample, name) events into contiguous phones; nameless ones are silence, and silences merge.

    >>> merge_events([(10, "a"), (30, ""), (40, ""), (40, "b")], 50)[1:3]
    [Phone(name='a', start_sample=10, end_sample=30), Phone(name='SIL', start_sample=30, end_sample=40)]
    """
    starts = [0, *(start for start, _ in events)]
    names = [SILENCE, *(name or SILENCE for _, name in events)]
    ends = [*starts[1:], num_samples]
    phones: list[Phone] = []
    for name, start, end in zip(names, starts, ends, strict=True):
        if end <= start:
            continue
        if phones and name == SILENCE == phones[-1].name:
            start = phones.pop().start_sample
        phones.append(Phone(name, start, end))
    return phones
