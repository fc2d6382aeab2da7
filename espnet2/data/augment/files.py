"""The noises or impulse responses of a Kaldi wav.scp: any part of any of them at the wanted rate."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import soundfile

from espnet2.data.audio.source import AudioSource, MixedAudio, open_source
from espnet2.data.augment.signal import Wave, resampled
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file
from espnet2.utils.kaldi_table import read_table
from espnet2.utils.show import first_names

CHECKERS = 16  # headers opened at once: on a network disk opening waits, it does not compute
UNREADABLE = (OSError, ValueError, soundfile.LibsndfileError, MixedAudio)
SHOWN = 3  # bad entries named in an error
MAX_RESPONSE_SECONDS = 10.0  # of a room: a longer file is a recording given by mistake (real rooms ring up to 10 s)


@dataclass(frozen=True)
class SoundFiles:
    """The entries of one wav.scp (files or ark offsets); nothing is held open, nothing is kept in memory but names."""

    scp: str
    names: tuple[str, ...]  # keys of the table
    entries: tuple[str, ...]  # as `open_source` takes them
    sample_rate: int  # Hz of what is returned
    hash: str  # of the table

    @classmethod
    def open(cls, scp: str, sample_rate: int, where: str, *, max_seconds: float = math.inf) -> "SoundFiles":
        """Read the table and the header of every file.

        Args:
            where: the key of the config that names the table, for the error.

        Raises:
            UserError: the table is missing, malformed or empty; an entry is a pipe, is missing, empty or no audio.
        """
        try:
            table = read_table(scp)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        if not table:
            raise UserError(f"{where}: {scp} is empty; expected '<name> <file, or ark:offset>' lines")
        pipe = next((name for name, entry in table.items() if entry.endswith("|")), None)
        if pipe is not None:
            raise UserError(
                f"{where}: {scp}: '{pipe}' is a pipe, which would run each time it is drawn; write real files once: "
                f"scripts/audio/format_wav_scp.sh {Path(scp).parent} dump/org/<name>, and name dump/org/<name>/wav.scp"
            )
        with ThreadPoolExecutor(CHECKERS) as pool:
            problems = pool.map(_problem, table.items(), repeat(max_seconds))
            bad = [problem for problem in problems if problem]
        if bad:
            first = first_names(bad, SHOWN, separator="; ")
            raise UserError(
                f"{where}: {scp}: {len(bad)} of {len(table)} entries cannot be used: {first}; "
                "paths are relative to the recipe's folder"
            )
        return cls(scp, tuple(table), tuple(table.values()), sample_rate, hash_file(scp))

    def draw_noise(self, random: np.random.Generator, num_samples: int, *, loop: bool) -> Wave:
        """A random part of a random file.

        Args:
            loop: a shorter file is repeated, beginning anywhere in it; otherwise it is returned as short as it is.

        Returns:
            (num_samples,) float32, the first channel; with `loop` false perhaps shorter, never empty.
        """
        number = int(random.integers(len(self.entries)))
        phase = random.random()
        with self._opened(number) as audio:
            step = audio.sample_rate / self.sample_rate
            spare = audio.frames - math.ceil(num_samples * step)
            if spare >= 0:
                return self._read(audio, number, num_samples, start=int(phase * (spare + 1)))
            wav = self._read(audio, number, max(1, int(audio.frames / step)))
        if not loop:
            return wav
        return np.resize(np.roll(wav, -int(phase * len(wav))), num_samples)

    def draw_response(self, random: np.random.Generator) -> Wave:
        """A random file, whole: its first channel."""
        number = int(random.integers(len(self.entries)))
        with self._opened(number) as audio:
            return self._read(audio, number, max(1, round(audio.frames * self.sample_rate / audio.sample_rate)))

    @contextmanager
    def _opened(self, number: int) -> Iterator[AudioSource]:
        """One entry, open while the block runs; a file that changed since the start of the training is named."""
        try:
            with open_source(self.entries[number]) as audio:
                yield audio
        except UNREADABLE as error:
            name, entry = self.names[number], self.entries[number]
            raise UserError(f"{self.scp}: '{name}' ({entry}) cannot be read any more: {error}") from None

    def _read(self, audio: AudioSource, number: int, num_samples: int, *, start: int = 0) -> Wave:
        """`num_samples` samples at our rate, from frame `start` of the file on."""
        step = audio.sample_rate / self.sample_rate
        wav: Wave = audio.read_all(start, math.ceil(num_samples * step))[:, 0]
        if len(wav) == 0 or not np.isfinite(wav).all():
            raise UserError(f"{self.scp}: '{self.names[number]}' ({self.entries[number]}): NaN, infinity or no samples")
        if audio.sample_rate == self.sample_rate:
            return wav
        return resampled(wav, rate_in=audio.sample_rate, rate_out=self.sample_rate, num_samples=num_samples)


def _problem(item: tuple[str, str], max_seconds: float) -> str:
    """Why an entry cannot be used; "" if it can, as far as its header tells."""
    name, entry = item
    try:
        with open_source(entry) as audio:
            if audio.frames == 0:
                return f"'{name}' ({entry}) has no samples"
            if audio.frames > max_seconds * audio.sample_rate:
                seconds = audio.frames / audio.sample_rate
                return f"'{name}' ({entry}) is {seconds:.1f} s long, an impulse response at most {max_seconds:g} s"
            return ""
    except FileNotFoundError:
        return f"'{name}' ({entry}): no such file"
    except UNREADABLE as error:
        return f"'{name}' ({entry}) is no audio ({error})"
