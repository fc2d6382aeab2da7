"""A Kaldi folder in, what a task hears of its utterances out, with the hash that their features are kept under."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format.plan import FormatOptions, Utterance, utterances, work_hash
from espnet2.units.kaldi_audio import KaldiAudio
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_value

VERSION = 1  # of what is heard of a file: another number lists and encodes again


class Hearing(NamedTuple):
    """What is done to audio before it is encoded. Two tasks that hear the same share its features."""

    gain_db: float = 0.0  # s3prl turns keywords, queries and trials down by 3 dB
    max_seconds: float = 0.0  # longer utterances are cut, at a place that their name decides; 0: never


class Piece(NamedTuple):
    """One utterance, listed."""

    utt_id: str
    number: int  # of its line in the folder
    num_samples: int
    hash: str  # of what is heard: equal samples have equal features, whatever their folder


@dataclass(frozen=True)
class HeardSet:
    """The audio of one Kaldi folder, as one task hears it."""

    folder: Path
    hearing: Hearing
    sample_rate: int  # Hz, of the encoder

    @property
    def key(self) -> str:
        """Of the tables, the state of the files behind them, and the hearing: names its list of pieces."""
        if not (self.folder / "wav.scp").is_file():
            raise UserError(f"{self.folder}/wav.scp: no such file; prepare this set first (stage 1), see doc/superb.md")
        options = FormatOptions(self.sample_rate, "flac")
        return hash_value([VERSION, work_hash(self.folder, options), list(self.hearing), self.sample_rate])

    def items(self) -> list[Utterance]:
        """Its utterances in order; the number is that of the line."""
        return list(utterances(self.folder))

    def load(self, scratch: Path, start: int = 0, stop: int | None = None) -> Iterator[tuple[Piece, Tensor]]:
        """Utterances number `start`..`stop` with their samples, (samples,) float32, in order.

        Raises:
            UserError: audio that cannot be read: a figure without it would be another figure.
        """
        audio = self._audio(scratch)
        for item in audio.load(start, audio.num_utterances if stop is None else stop):
            if item.wav is None:
                raise self._unreadable(item.utt_id, item.rejected)
            wav = self._heard(item.utt_id, item.wav)
            yield Piece(item.utt_id, item.number, len(wav), self._hash(wav)), wav

    def load_one(self, item: Utterance, scratch: Path) -> Tensor:
        """The samples of one utterance: (samples,) float32.

        Raises:
            UserError: it cannot be read.
        """
        try:
            return self._heard(item.utt_id, self._audio(scratch).load_one(item))
        except RejectedAudio as error:
            raise self._unreadable(item.utt_id, f"{error.reason}: {error.detail}") from None

    def _audio(self, scratch: Path) -> KaldiAudio:
        return KaldiAudio(self.folder, self.sample_rate, scratch, channel=None, normalize=False)

    def _unreadable(self, utt_id: str, why: str) -> UserError:
        return UserError(
            f"{self.folder}: {utt_id} cannot be read ({why}); mend the file, or take the utterance out of all tables "
            "of the set, which makes it another test"
        )

    def _hash(self, wav: Tensor) -> str:
        return hash_bytes(str(self.sample_rate), wav.numpy().tobytes())

    def _heard(self, utt_id: str, wav: Tensor) -> Tensor:
        limit = round(self.hearing.max_seconds * self.sample_rate)
        if limit and len(wav) > limit:
            share = int(hash_bytes(utt_id)[:8], 16) / 0xFFFFFFFF
            start = round(share * (len(wav) - limit))
            wav = wav[start : start + limit]
        if self.hearing.gain_db:
            wav = wav * torch.tensor(10 ** (self.hearing.gain_db / 20))
        return wav.contiguous()
