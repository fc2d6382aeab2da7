"""A waveform in, the bytes of files whose headers say something else than what is there out."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
COUNT = 32000
WAVE = 0.3 * np.sin(2 * np.pi * 220 * np.arange(COUNT) / RATE) + 0.02 * np.random.default_rng(0).standard_normal(COUNT)
PCM = (WAVE * 32767).astype("<i2").tobytes()


def encoded(container: str = "WAV", subtype: str | None = "PCM_16", wave: np.ndarray = WAVE, rate: int = RATE) -> bytes:
    """A right file."""
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=container, subtype=subtype)
    return stream.getvalue()


def riff(data: bytes = PCM, *, data_size: int | None = None, riff_size: int | None = None, before: bytes = b"",
         after: bytes = b"", magic: bytes = b"RIFF", fmt: bytes | None = None) -> bytes:  # fmt: skip
    """A WAV with the sizes that are given."""
    order = ">" if magic == b"RIFX" else "<"
    fmt = fmt or struct.pack(order + "HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + before + b"fmt " + struct.pack(order + "I", len(fmt)) + fmt + b"data"
    body += struct.pack(order + "I", len(data) if data_size is None else data_size) + data + after
    return magic + struct.pack(order + "I", len(body) if riff_size is None else riff_size) + body


def chunk(name: bytes, content: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def put_number(
    content: bytes, marker: bytes, number: int, *, skip: int = 0, width: int = 4, order: str = "little"
) -> bytes:
    """Another number behind the first `marker`, after `skip` bytes."""
    at = content.index(marker) + len(marker) + skip
    return content[:at] + number.to_bytes(width, order) + content[at + width :]


def flac_with_total(total: int, wave: np.ndarray = WAVE) -> bytes:
    """A FLAC whose STREAMINFO states that many samples; 0 is unknown."""
    content = encoded("FLAC", wave=wave)
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | total
    return content[:18] + packed.to_bytes(8, "big") + content[26:]


def mp3(wave: np.ndarray, *, with_xing: bool = True) -> bytes:
    """An MP3 of variable bit rate, with or without the frame that states its length."""
    stream = io.BytesIO()
    soundfile.write(stream, wave, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    content = stream.getvalue()
    if with_xing:
        return content
    first = content[:4]
    rates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # kbit/s of MPEG 2, layer III
    return content[72 * rates[first[2] >> 4] * 1000 // RATE + (first[2] >> 1 & 1) :]


def put(path: Path, content: bytes) -> str:
    """Write a file; returns its path as text."""
    path.write_bytes(content)
    return str(path)
