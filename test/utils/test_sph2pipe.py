"""SPHERE files written by libsndfile, or here, in, the same samples with another header out: utils/sph2pipe."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from repository import ROOT

PROGRAM = str(ROOT / "utils" / "sph2pipe")
RATE = 16000


def call(*arguments: object, **options: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, check=False, **options)


def samples_of(data: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == RATE
    return samples


@pytest.fixture
def noise() -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((3000, 2))


@pytest.mark.parametrize("coding", [("PCM_16", "BIG"), ("PCM_16", "LITTLE"), ("ULAW", "FILE"), ("ALAW", "FILE")])
@pytest.mark.parametrize("form", ["wav", "au", "sph"])
@pytest.mark.parametrize("option", [[], ["-p"]])
def test_samples_stay(tmp_path: Path, noise: np.ndarray, coding: tuple[str, str], form: str, option: list[str]) -> None:
    path = tmp_path / "a.sph"
    soundfile.write(path, noise, RATE, coding[0], format="NIST", endian=coding[1])
    result = call("-f", form, *option, path)
    assert result.returncode == 0 and not result.stderr
    assert np.array_equal(samples_of(result.stdout), soundfile.read(path, dtype="int16")[0])


def test_a_channel_and_a_part(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.sph"
    soundfile.write(path, noise, RATE, "ULAW", format="NIST")
    whole = soundfile.read(path, dtype="int16")[0]
    assert np.array_equal(samples_of(call("-f", "wav", "-p", "-c", "2", path).stdout), whole[:, 1])
    assert np.array_equal(samples_of(call("-f", "rif", "-t", "0.01:0.05", path).stdout), whole[160:800])
    assert np.array_equal(samples_of(call("-f", "wav", "-s", "100:", "-c", "1", path).stdout), whole[100:, 0])
    raw = call("-f", "raw", "-p", "-c", "1", path, tmp_path / "out.raw")
    assert raw.stdout == b"" and np.array_equal(np.fromfile(tmp_path / "out.raw", "<i2"), whole[:, 0])


class Bits:
    """Bits of a stream of shorten (Robinson, SHORTEN: simple lossless and near-lossless waveform compression, 1994)."""

    def __init__(self) -> None:
        self.bits: list[str] = []

    def rice(self, value: int, size: int) -> None:
        low = f"{value & ((1 << size) - 1):0{size}b}" if size else ""
        self.bits.append("0" * (value >> size) + "1" + low)

    def number(self, value: int) -> None:
        self.rice(value.bit_length(), 2)
        self.rice(value, value.bit_length())

    def data(self) -> bytes:
        text = "".join(self.bits)
        text += "0" * (-len(text) % 32)
        return bytes(int(text[start : start + 8], 2) for start in range(0, len(text), 8))


def shortened(samples: np.ndarray) -> bytes:
    """A stream of little-endian 16-bit samples, (frames, channels), in blocks without prediction."""
    bits = Bits()
    for value in (5, samples.shape[1], 256, 0, 0, 0):
        bits.number(value)
    for start in range(0, len(samples), 256):
        block = samples[start : start + 256]
        if len(block) < 256:
            bits.rice(5, 2)
            bits.number(len(block))
        for channel in block.T:
            bits.rice(0, 2)
            bits.rice(10, 3)
            for value in channel.tolist():
                bits.rice(value << 1 if value >= 0 else (~value << 1) | 1, 11)
    bits.rice(4, 2)
    return b"ajkg\x02" + bits.data()


def write_sphere(path: Path, data: bytes, coding: str, frames: int, channels: int, *, size: int = 2) -> Path:
    lines = [
        "NIST_1A",
        "   1024",
        f"channel_count -i {channels}",
        f"sample_count -i {frames}",
        f"sample_rate -i {RATE}",
    ]
    lines += [f"sample_n_bytes -i {size}", "sample_byte_format -s2 01", f"sample_coding -s{len(coding)} {coding}"]
    path.write_bytes("\n".join([*lines, "end_head", ""]).encode().ljust(1024) + data)
    return path


@pytest.mark.parametrize("channels", [1, 2])
def test_shorten_is_decoded(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(1).integers(-9000, 9000, (1000, channels), dtype=np.int16)
    path = write_sphere(tmp_path / "a.wv1", shortened(samples), "pcm,embedded-shorten-v2.00", 1000, channels)
    result = call("-f", "wav", path)
    assert result.returncode == 0, result.stderr
    assert np.array_equal(samples_of(result.stdout).reshape(samples.shape), samples)


def test_a_shorter_file_than_its_header_says_is_told(tmp_path: Path) -> None:
    path = write_sphere(tmp_path / "a.sph", np.arange(100, dtype="<i2").tobytes(), "pcm", 200, 1)
    result = call("-f", "wav", path)
    assert len(samples_of(result.stdout)) == 100
    assert b"200 samples announced, 100 there" in result.stderr


def test_another_program_of_this_name_is_taken(tmp_path: Path) -> None:
    other = tmp_path / "sph2pipe"
    other.write_text("#!/bin/sh\necho the other one: $*\n")
    other.chmod(0o755)
    result = call("-f", "wav", "a.sph", env={"PATH": f"{ROOT / 'utils'}:{tmp_path}:/usr/bin:/bin"})
    assert result.stdout == b"the other one: -f wav a.sph\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-f", "wav"], "usage: "),
        (["-f", "mp3", "{sphere}"], "-f mp3: expected one of wav"),
        (["-c", "3", "{sphere}"], "channel 3 of 1"),
        (["-t", "1", "{sphere}"], "-t takes begin:end"),
        (["-u", "{sphere}"], "pcm is not turned into it"),
        (["{text}"], "not a SPHERE file"),
        (["{missing}"], "No such file"),
        (["{cut}"], "no end_head"),
        (["{odd}"], "sample_coding mp2 of 1 bytes"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    names = {
        "sphere": write_sphere(tmp_path / "a.sph", b"\0" * 20, "pcm", 10, 1),
        "odd": write_sphere(tmp_path / "b.sph", b"\0" * 20, "mp2", 10, 1, size=1),
        "text": tmp_path / "a.txt",
        "cut": tmp_path / "cut.sph",
        "missing": tmp_path / "none.sph",
    }
    names["text"].write_text("hello\n")
    names["cut"].write_bytes(b"NIST_1A\n   1024\nsample_rate -i 8000\n")
    result = call(*(argument.format(**names) for argument in arguments))
    assert result.returncode == 1 and result.stdout == b""
    assert message.encode() in result.stderr and b"Traceback" not in result.stderr
