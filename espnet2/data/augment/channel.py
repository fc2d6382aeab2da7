"""What happens to a sound on its way to the listener: clipping, a narrow band, a codec, lost packets."""

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from espnet2.data.augment.codec import CODECS, CodecName, check_codec, coded
from espnet2.data.augment.section import Range, Section
from espnet2.data.augment.signal import Wave, from_db, resampled
from espnet2.utils.errors import UserError


class ClippingConfig(Section):
    """A microphone or a converter that is driven too hard: what is louder than a threshold is cut off."""

    probability: float = Field(0.1, ge=0, le=1, description="of a clip to be clipped")
    threshold_db: Range = Field((-15.0, -3.0), description="of the threshold, relative to the clip's loudest sample")

    @field_validator("threshold_db")
    @classmethod
    def _check_threshold(cls, value: Range) -> Range:
        if value[1] > 0:
            raise ValueError("a threshold above the loudest sample clips nothing: expected 0 dB or less")
        return value


class LowPassConfig(Section):
    """A narrow band: nothing above a frequency, as of old recordings and cheap microphones."""

    probability: float = Field(0.1, ge=0, le=1, description="of a clip to lose its high frequencies")
    cutoff_hz: Range = Field((1500.0, 7000.0), description="highest frequency that is kept")

    @field_validator("cutoff_hz")
    @classmethod
    def _check_cutoff(cls, value: Range) -> Range:
        if value[0] < 100:
            raise ValueError("below 100 Hz no speech is left")
        return value


class CodecConfig(Section):
    """A lossy codec, there and back; telephone codecs also leave 4 kHz only."""

    probability: float = Field(0.2, ge=0, le=1, description="of a clip to be coded")
    names: tuple[CodecName, ...] = Field(tuple(CODECS), min_length=1, description="one is drawn for each clip")
    compression: Range = Field(
        (0.5, 0.95),
        description="of MP3 and Opus: 0 is the best, towards 1 the smallest (Opus: 250 to 6 kbit/s)",
    )

    @field_validator("compression")
    @classmethod
    def _check_compression(cls, value: Range) -> Range:
        if not (value[0] >= 0 and value[1] <= 0.99):
            raise ValueError("expected 0 to 0.99")
        return value


class PacketLossConfig(Section):
    """Pieces that never arrive, alone or in bursts: a chain of two states (Gilbert, Bell System Tech. J. 39, 1960)."""

    probability: float = Field(0.1, ge=0, le=1, description="of a clip to lose packets")
    loss_rate: Range = Field((0.02, 0.2), description="share of packets lost")
    packet_ms: float = Field(20.0, gt=0, le=1000, description="length of a packet; of a telephone over IP: 20")
    mean_burst: float = Field(1.5, ge=1, description="packets lost in a row, on average")
    fill: Literal["silence", "repeat"] = Field("silence", description="repeat: the packet before is heard again")

    @field_validator("loss_rate")
    @classmethod
    def _check_rate(cls, value: Range) -> Range:
        if not (value[0] >= 0 and value[1] <= 0.9):
            raise ValueError("expected shares from 0 to 0.9")
        return value


def clipped(wav: Wave, random: np.random.Generator, config: ClippingConfig) -> Wave:
    """The clip, as loud as it was, without what is above a drawn threshold."""
    limit = np.float32(float(np.abs(wav).max(initial=0.0)) * from_db(random.uniform(*config.threshold_db)))
    below: Wave = np.clip(wav, -limit, limit)
    return below


def low_passed(wav: Wave, random: np.random.Generator, config: LowPassConfig, sample_rate: int) -> Wave:
    """The clip at a lower rate and back: a steep filter without delay."""
    rate = 2 * round(random.uniform(*config.cutoff_hz))
    if rate >= sample_rate:
        return wav
    count = -(-len(wav) * rate // sample_rate)
    narrow = resampled(wav, rate_in=sample_rate, rate_out=rate, num_samples=count)
    return resampled(narrow, rate_in=rate, rate_out=sample_rate, num_samples=len(wav))


def through_codec(wav: Wave, random: np.random.Generator, config: CodecConfig, sample_rate: int) -> Wave:
    """The clip after one of the codecs."""
    name = config.names[int(random.integers(len(config.names)))]
    return coded(wav, sample_rate, name, random.uniform(*config.compression))


def with_losses(wav: Wave, random: np.random.Generator, config: PacketLossConfig, sample_rate: int) -> Wave:
    """The clip without the packets that were lost."""
    size = max(1, round(config.packet_ms * sample_rate / 1000))
    lost = lost_packets(-(-len(wav) // size), random, random.uniform(*config.loss_rate), config.mean_burst)
    heard: Wave = wav.copy()
    for number in np.flatnonzero(lost):
        packet = heard[number * size : (number + 1) * size]
        before = heard[(number - 1) * size : number * size] if number else np.zeros(len(packet), np.float32)
        packet[:] = before[: len(packet)] if config.fill == "repeat" else 0
    return heard


def lost_packets(count: int, random: np.random.Generator, rate: float, mean_burst: float) -> np.ndarray:
    """(count,) bool: a share `rate` is lost, in bursts of a geometric length."""
    ends = 1 / mean_burst
    begins = min(1.0, ends * rate / (1 - rate))  # so that the chain is in the bad state for the share `rate`
    draws = random.random(count + 1)
    lost = np.zeros(count, dtype=bool)
    is_lost = bool(draws[0] < rate)
    for number in range(count):
        lost[number] = is_lost
        is_lost = bool(draws[number + 1] >= ends if is_lost else draws[number + 1] < begins)
    return lost


class Channel(NamedTuple):
    """The parts of `augment:` that follow the gain, in this order."""

    clipping: ClippingConfig | None
    low_pass: LowPassConfig | None
    codec: CodecConfig | None
    packet_loss: PacketLossConfig | None

    def apply(self, wav: Wave, random: np.random.Generator, sample_rate: int) -> Wave:
        """What arrives of a clip: (samples,), as long as it was."""
        if self.clipping and random.random() < self.clipping.probability:
            wav = clipped(wav, random, self.clipping)
        if self.low_pass and random.random() < self.low_pass.probability:
            wav = low_passed(wav, random, self.low_pass, sample_rate)
        if self.codec and random.random() < self.codec.probability:
            wav = through_codec(wav, random, self.codec, sample_rate)
        if self.packet_loss and random.random() < self.packet_loss.probability:
            wav = with_losses(wav, random, self.packet_loss, sample_rate)
        return wav

    def check(self, sample_rate: int, where: str) -> None:
        """Refuse what this audio or this machine does not allow.

        Args:
            where: the section of the config, for the error.

        Raises:
            UserError: a low pass that always lets all through; a codec that is not there, see `check_codec`.
        """
        if self.low_pass and 2 * self.low_pass.cutoff_hz[0] >= sample_rate:
            raise UserError(
                f"{where}.low_pass: cutoff_hz begins at {self.low_pass.cutoff_hz[0]:g} Hz, and audio of {sample_rate} "
                f"Hz holds nothing above {sample_rate // 2}: expected a lower frequency"
            )
        for name in self.codec.names if self.codec else ():
            check_codec(name, sample_rate, f"{where}.codec")

    def describe(self) -> list[str]:
        """Phrases for the log."""
        parts = []
        if self.clipping:
            parts.append(f"{self.clipping.probability:.0%} clipped")
        if self.low_pass:
            low, high = self.low_pass.cutoff_hz
            parts.append(f"{self.low_pass.probability:.0%} up to {low:g}..{high:g} Hz only")
        if self.codec:
            parts.append(f"{self.codec.probability:.0%} through {', '.join(self.codec.names)}")
        if self.packet_loss:
            low, high = self.packet_loss.loss_rate
            parts.append(f"{self.packet_loss.probability:.0%} without {low:.0%}..{high:.0%} of their packets")
        return parts
