"""A clean clip and its random generator in, the clip as training hears it out: `augment:` of a training config.

Order: speed, reverberation, mixing (WavLM), noises, gain, channel. Everything random of one clip comes from one
generator, seeded by (seed, number of the micro-batch, row of the index): the same bytes from any number of processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from espnet2.data.augment.channel import Channel, ClippingConfig, CodecConfig, LowPassConfig, PacketLossConfig
from espnet2.data.augment.files import MAX_RESPONSE_SECONDS, SoundFiles
from espnet2.data.augment.section import Range, Section
from espnet2.data.augment.signal import SPEED_STEPS, Wave, from_db, overlaid, power, reverberated
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes

MAX_SPEED_CHANGE = 2.0  # an octave: beyond it nothing sounds like speech


class SpeedConfig(Section):
    """Faster and higher, or slower and lower, as stage 2 does on disk; labels are mapped to where their sound is."""

    factors: tuple[float, ...] = Field((0.9, 1.0, 1.1), min_length=1, description="one is drawn for each clip")

    @field_validator("factors")
    @classmethod
    def _check_factors(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        for factor in factors:
            exact = round(factor * SPEED_STEPS) / SPEED_STEPS == factor
            if not (exact and 1 / MAX_SPEED_CHANGE <= factor <= MAX_SPEED_CHANGE):
                raise ValueError(f"{factor} is no speed: expected 0.5 to 2 with at most 3 decimals")
        return factors


class ReverbConfig(Section):
    """Rooms: convolution with an impulse response, without its delay, at the level of the dry clip."""

    rir_scp: str = Field(description="wav.scp of impulse responses")
    probability: float = Field(0.5, ge=0, le=1, description="of a clip to be in a room")


class MixingConfig(Section):
    """A second voice or a noise over a part of the clip; the defaults are WavLM's (arXiv 2110.13900, section III-B)."""

    probability: float = Field(0.2, ge=0, le=1, description="of a clip to be mixed")
    energy_ratio_db: Range = Field((-5.0, 5.0), description="clip over the other utterance, on the overlapped part")
    max_overlap: float = Field(0.5, gt=0, le=0.5, description="share of the clip; above 0.5 nobody is the main speaker")
    noise_scp: str | None = Field(None, description="wav.scp of noises")
    noise_probability: float = Field(0.1, ge=0, le=1, description="of a noise instead of an utterance, with noise_scp")
    snr_db: Range = Field((-5.0, 20.0), description="clip over the noise, on the overlapped part")


class NoiseConfig(Section):
    """One kind of noise: music, sounds, or several voices at once (babble)."""

    noise_scp: str = Field(description="wav.scp of this kind")
    probability: float = Field(0.5, ge=0, le=1, description="of a clip to get this kind")
    snr_db: Range = Field((0.0, 20.0), description="clip over the noise, where it is heard")
    sources: tuple[int, int] = Field((1, 1), description="files at once, fewest and most: [3, 7] for babble")
    fill: Literal["loop", "place"] = Field("loop", description="a shorter noise is repeated, or put somewhere once")

    @field_validator("sources")
    @classmethod
    def _check_sources(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] < 1:
            raise ValueError("at least one source is needed")
        return value


class GainConfig(Section):
    """Louder or softer; without effect where waves are normalised."""

    probability: float = Field(1.0, ge=0, le=1, description="of a clip to get another level")
    range_db: Range = Field((-6.0, 6.0), description="of the change")


class AugmentConfig(Config):
    """What happens to the audio of training batches; a part that is left out does not happen."""

    speed: SpeedConfig | None = Field(None, description="`speed: {}` is 0.9, 1.0 and 1.1")
    reverb: ReverbConfig | None = Field(None, description="impulse responses of rooms")
    mixing: MixingConfig | None = Field(None, description="`mixing: {}` is WavLM's")
    noise: tuple[NoiseConfig, ...] = Field((), description="kinds of noise; each is drawn by itself")
    gain: GainConfig | None = Field(None, description="`gain: {}` is up to 6 dB up or down")
    clipping: ClippingConfig | None = Field(None, description="`clipping: {}` cuts one in ten clips")
    low_pass: LowPassConfig | None = Field(None, description="`low_pass: {}` narrows one in ten clips")
    codec: CodecConfig | None = Field(None, description="`codec: {}` is G.711, GSM, MP3 or Opus for one in five clips")
    packet_loss: PacketLossConfig | None = Field(None, description="`packet_loss: {}` is of one in ten clips")

    @property
    def channel(self) -> Channel:
        """What follows the gain."""
        return Channel(self.clipping, self.low_pass, self.codec, self.packet_loss)

    @property
    def max_speed(self) -> float:
        """The fastest: it needs the most audio."""
        return max(self.speed.factors) if self.speed else 1.0

    @field_validator("noise", mode="before")
    @classmethod
    def _accept_one(cls, value: object) -> object:
        """One kind need not be written as a list."""
        return (value,) if isinstance(value, dict) else () if value is None else value


class Clip(NamedTuple):
    """What augmentation makes of a clip."""

    wav: Wave
    is_mixed: bool  # another utterance or a noise of `mixing` lies over it


@dataclass(frozen=True)
class Augmenter:
    """The `augment` section with its tables opened. Travels to loader processes: it holds names, no audio."""

    config: AugmentConfig
    sample_rate: int  # Hz
    rooms: SoundFiles | None
    mixed_noises: SoundFiles | None
    noises: tuple[SoundFiles, ...]  # one per kind

    @property
    def hash(self) -> str:
        """Of the tables; a resumed run must find the same."""
        tables = [files.hash if files else "" for files in (self.rooms, self.mixed_noises, *self.noises)]
        return hash_bytes(*tables)

    @property
    def max_speed(self) -> float:
        """The fastest: it needs the most audio."""
        return self.config.max_speed

    @property
    def mixes(self) -> bool:
        """Whether clips may be mixed with others."""
        return self.config.mixing is not None

    def of(self, row: int) -> "Augmenter":
        """What happens to the audio of a row: the same for all."""
        return self

    def draw_speed(self, random: np.random.Generator) -> float:
        """The speed of one clip: the first of its random numbers."""
        return float(random.choice(self.config.speed.factors)) if self.config.speed else 1.0

    def __call__(
        self, wav: Wave, random: np.random.Generator, partner: Callable[[np.random.Generator, int], Wave]
    ) -> Clip:
        """All but the speed.

        Args:
            wav: (samples,) the clip, at its speed, not normalised.
            partner: gives at most so many samples of another utterance.
        """
        config, is_mixed = self.config, False
        if self.rooms and config.reverb and random.random() < config.reverb.probability:
            wav = reverberated(wav, self.rooms.draw_response(random))
        if config.mixing and random.random() < config.mixing.probability:
            wav, is_mixed = self._mixed(config.mixing, wav, random, partner)
        for kind, files in zip(config.noise, self.noises, strict=True):
            if random.random() < kind.probability:
                wav = _with_noise(wav, random, kind, files)
        if config.gain and random.random() < config.gain.probability:
            wav = wav * np.float32(from_db(random.uniform(*config.gain.range_db)))
        return Clip(config.channel.apply(wav, random, self.sample_rate), is_mixed)

    def _mixed(
        self,
        mixing: MixingConfig,
        wav: Wave,
        random: np.random.Generator,
        partner: Callable[[np.random.Generator, int], Wave],
    ) -> Clip:
        """A second utterance, or now and then a noise, over at most half of the clip."""
        longest = int(mixing.max_overlap * len(wav))
        if longest < 1:
            return Clip(wav, False)
        num_samples = int(random.integers(1, longest + 1))
        if self.mixed_noises and random.random() < mixing.noise_probability:
            other, ratio = self.mixed_noises.draw_noise(random, num_samples, loop=True), mixing.snr_db
        else:
            other, ratio = partner(random, num_samples), mixing.energy_ratio_db
        start = int(random.integers(len(wav) - len(other) + 1))
        mixed = overlaid(wav, other, start=start, ratio_db=random.uniform(*ratio))
        return Clip(mixed, not np.array_equal(mixed, wav))

    def describe(self) -> str:
        """One line for the log."""
        config, parts = self.config, []
        if config.speed:
            parts.append(f"speed {', '.join(f'{factor:g}' for factor in config.speed.factors)}")
        if config.reverb and self.rooms:
            parts.append(f"{config.reverb.probability:.0%} in one of {len(self.rooms.entries):,} rooms")
        if config.mixing:
            text = f"{config.mixing.probability:.0%} mixed with another utterance"
            if self.mixed_noises:
                text += f" or ({config.mixing.noise_probability:.0%}) one of {len(self.mixed_noises.entries):,} noises"
            parts.append(text)
        for kind, files in zip(config.noise, self.noises, strict=True):
            low, high = kind.snr_db
            parts.append(f"{kind.probability:.0%} with {len(files.entries):,} of {files.scp} at {low:g}..{high:g} dB")
        if config.gain:
            low, high = config.gain.range_db
            parts.append(f"{config.gain.probability:.0%} with a gain of {low:g}..{high:g} dB")
        return "; ".join([*parts, *config.channel.describe()])


def _with_noise(wav: Wave, random: np.random.Generator, kind: NoiseConfig, files: SoundFiles) -> Wave:
    """The clip with one kind of noise; several sources are equally loud, their sum has the drawn SNR."""
    ratio_db = random.uniform(*kind.snr_db)
    count = int(random.integers(kind.sources[0], kind.sources[1] + 1))
    loop = kind.fill == "loop"
    noise = np.zeros(len(wav), dtype=np.float32)
    covered = (len(wav), 0)  # first and last sample that any source reaches
    for _ in range(count):
        source = files.draw_noise(random, len(wav), loop=loop)
        start = int(random.integers(len(wav) - len(source) + 1))
        level = np.sqrt(power(source))
        if level > 0.0:
            noise[start : start + len(source)] += source / np.float32(level)
            covered = (min(covered[0], start), max(covered[1], start + len(source)))
    return overlaid(wav, noise[slice(*covered)], start=covered[0], ratio_db=ratio_db)


def open_augmenter(
    config: AugmentConfig, sample_rate: int, num_utterances: int, *, where: str = "augment"
) -> Augmenter | None:
    """Open and check every table of the section; None if it asks for nothing.

    Args:
        num_utterances: of the training sets; mixing needs two.
        where: the section, for errors.

    Raises:
        UserError: see `SoundFiles.open`; nothing to mix with; a codec that this machine does not have.
    """
    if config == AugmentConfig():
        return None
    mixing = config.mixing
    if mixing and num_utterances < 2:
        raise UserError(f"{where}.mixing: the training sets hold one utterance; there is nothing to mix it with")
    rooms = mixed = None
    if config.reverb:
        rooms = SoundFiles.open(
            config.reverb.rir_scp, sample_rate, f"{where}.reverb.rir_scp", max_seconds=MAX_RESPONSE_SECONDS
        )
    if mixing and mixing.noise_scp:
        mixed = SoundFiles.open(mixing.noise_scp, sample_rate, f"{where}.mixing.noise_scp")
    noises = tuple(
        SoundFiles.open(kind.noise_scp, sample_rate, f"{where}.noise.{number}.noise_scp")
        for number, kind in enumerate(config.noise)
    )
    config.channel.check(sample_rate, where)
    return Augmenter(config, sample_rate, rooms, mixed, noises)
