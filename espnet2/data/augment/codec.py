"""A clip through a codec and back, in memory, with its sound where it was: G.711, GSM, MP3 and Opus of libsndfile."""

import io
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import soundfile

from espnet2.data.augment.signal import Wave, power, resampled
from espnet2.utils.errors import UserError

CodecName = Literal["alaw", "mulaw", "gsm", "mp3", "opus"]
TELEPHONE_RATE = 8000  # Hz: G.711 (ITU-T) and GSM 06.10 (ETSI) are of it
CHECK_SECONDS = 0.5  # of noise that goes through each codec before training starts
MAX_SHIFT_SAMPLES = 8  # of the sound, at 16 kHz half a millisecond: below it labels and frames do not notice


@dataclass(frozen=True)
class _Codec:
    """How libsndfile writes one; without rates the telephone's."""

    format: str
    subtype: str
    rates: tuple[int, ...] = (TELEPHONE_RATE,)
    has_levels: bool = False  # obeys libsndfile's compression level


CODECS: dict[CodecName, _Codec] = {
    "alaw": _Codec("WAV", "ALAW"),
    "mulaw": _Codec("WAV", "ULAW"),
    "gsm": _Codec("WAV", "GSM610"),
    "mp3": _Codec("MP3", "MPEG_LAYER_III", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000), True),
    "opus": _Codec("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000), True),  # RFC 6716, section 2
}


def coded(wav: Wave, sample_rate: int, name: CodecName, compression: float) -> Wave:
    """What is left of a clip after a codec, at the same rate and as long.

    Args:
        compression: from 0, the best, to below 1, the smallest; MP3 and Opus obey it.
    """
    codec = CODECS[name]
    rate = max((rate for rate in codec.rates if rate <= sample_rate), default=min(codec.rates))
    loudest = float(np.abs(wav).max(initial=0.0))
    scale = np.float32(max(1.0, loudest))  # a codec of whole numbers would clip, and that is another part's job
    sent = wav / scale
    if rate != sample_rate:
        count = -(-len(wav) * rate // sample_rate)
        sent = resampled(sent, rate_in=sample_rate, rate_out=rate, num_samples=count)
    heard = _through(sent, rate, codec, compression)
    heard = np.pad(heard[: len(sent)], (0, max(0, len(sent) - len(heard))))
    if rate != sample_rate:
        heard = resampled(heard, rate_in=rate, rate_out=sample_rate, num_samples=len(wav))
    result: Wave = heard * scale
    return result


def _through(wav: Wave, rate: int, codec: _Codec, compression: float) -> Wave:
    """Written and read again; what fills the last frame comes back, too."""
    # A variable rate makes LAME note its delay, which the decoder then cuts off; at low constant rates it does not.
    levels = {"compression_level": compression} if codec.has_levels else {}
    mode = {"bitrate_mode": "VARIABLE"} if codec.format == "MP3" else {}
    stream = io.BytesIO()
    soundfile.write(stream, wav, rate, codec.subtype, format=codec.format, **levels, **mode)
    stream.seek(0)
    heard: Wave = soundfile.read(stream, dtype="float32")[0]
    return heard


@cache
def check_codec(name: CodecName, sample_rate: int, where: str) -> None:
    """Refuse a codec that this machine's libsndfile does not have, or that moves the sound.

    Args:
        where: the key of the config, for the error.

    Raises:
        UserError: naming the codec and the version.
    """
    wav = np.float32(0.1) * np.random.default_rng(0).standard_normal(int(CHECK_SECONDS * sample_rate), np.float32)
    version = f"soundfile {soundfile.__version__} with libsndfile {soundfile.__libsndfile_version__}"
    try:
        heard = coded(wav, sample_rate, name, 0.5)
    except (soundfile.LibsndfileError, ValueError, TypeError, OSError) as error:
        raise UserError(
            f"{where}: the codec {name} is not available here ({version}: {error}); pip install -U 'soundfile>=0.13', "
            f"or leave {name} out of codec.names"
        ) from None
    shift = _shift(wav, heard)
    if power(heard) == 0.0 or abs(shift) > MAX_SHIFT_SAMPLES:
        raise UserError(
            f"{where}: the codec {name} moves the sound by {shift} samples here ({version}), away from its labels; "
            f"leave {name} out of codec.names"
        )


def _shift(wav: Wave, heard: Wave) -> int:
    """By how many samples `heard` is later."""
    size = 2 * len(wav)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wav, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return lag - size if lag > len(wav) else lag
