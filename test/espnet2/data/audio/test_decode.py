"""Every kind of wav.scp entry decodes; every kind of damage has its word."""

import os
import time
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet2.data.audio import decode
from espnet2.data.audio.decode import open_recording
from espnet2.data.audio.rejected import RejectedAudio

SAMPLES = (np.random.default_rng(0).standard_normal(24000) * 3000).astype(np.int16)


def read(entry, scratch, channel=None):
    with open_recording(str(entry), scratch) as recording:
        blocks = list(recording.blocks(*recording.whole(), channel))
        return np.concatenate(blocks)


def write(path, samples=SAMPLES, **options):
    soundfile.write(path, samples, 16000, **options)
    return path


FORMATS = {"wav": {}, "flac": {}, "sph": {"format": "NIST", "subtype": "PCM_16"}, "aiff": {}, "au": {}}


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_decode_exactly(tmp_path, suffix):
    assert np.array_equal(read(write(tmp_path / f"a b.{suffix}", **FORMATS[suffix]), tmp_path), SAMPLES)


def test_lossy_files_decode(tmp_path):
    for suffix in ("ogg", "mp3"):
        assert len(read(write(tmp_path / f"a.{suffix}"), tmp_path)) >= len(SAMPLES)


def test_arks_decode_exactly(tmp_path):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/w.ark,{tmp_path}/w.scp") as writer:
        writer["a"], writer["b"] = (16000, SAMPLES[:100]), (16000, SAMPLES)
    assert np.array_equal(read((tmp_path / "w.scp").read_text().split()[3], tmp_path), SAMPLES)


def test_long_files_come_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "BLOCK_FRAMES", 1000)
    for suffix in ("wav", "flac", "mp3"):
        read(write(tmp_path / f"a.{suffix}"), tmp_path)
    with open_recording(str(tmp_path / "a.flac"), tmp_path) as recording:
        assert [len(block) for block in recording.blocks(500, 3700, None)] == [1000, 1000, 1000, 200]
        assert np.array_equal(np.concatenate(list(recording.blocks(500, 3700, None))), SAMPLES[500:3700])


def test_channels(tmp_path):
    entry = write(tmp_path / "two.wav", np.stack([SAMPLES, SAMPLES[::-1]], 1))
    assert np.array_equal(read(entry, tmp_path), SAMPLES)
    assert np.array_equal(read(entry, tmp_path, channel=1), SAMPLES[::-1])
    with pytest.raises(RejectedAudio, match="no_channel"):
        read(entry, tmp_path, channel=2)


def test_a_pipe_runs_as_given(tmp_path):
    path = write(tmp_path / "a b.wav")
    assert np.array_equal(read(f"cat '{path}' |", tmp_path), SAMPLES)
    assert np.array_equal(read(f"cat < '{path}' | cat |", tmp_path), SAMPLES)
    assert [file.name for file in tmp_path.iterdir()] == ["a b.wav"]  # the scratch file is gone


def test_a_header_without_length_is_fine_in_a_pipe_and_in_a_file(tmp_path):
    data = bytearray(write(tmp_path / "a.wav").read_bytes())
    start = data.index(b"data") + 4
    for length in (0xFFFFFFFF, 0x7FFFF000):
        data[start : start + 4] = length.to_bytes(4, "little")
        (tmp_path / "s.wav").write_bytes(data)
        assert len(read(f"cat {tmp_path}/s.wav |", tmp_path)) == len(SAMPLES)
        assert len(read(tmp_path / "s.wav", tmp_path)) == len(SAMPLES)


def test_pipes_of_missing_programs_are_decoded_here(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "missing_programs", lambda command: ["flac"])
    flac = write(tmp_path / "a.flac")
    two = write(tmp_path / "two.sph", np.stack([SAMPLES, SAMPLES // 2], 1), format="NIST", subtype="PCM_16")
    assert np.array_equal(read(f"flac -c -d -s {flac} |", tmp_path), SAMPLES)
    assert np.array_equal(read(f"sph2pipe -f wav -p -c 2 {two} |", tmp_path), SAMPLES // 2)
    mixed = read(f"sox {two} -c 1 -t wav - vol 0.5 |", tmp_path)
    assert np.allclose(mixed, (SAMPLES + SAMPLES // 2) / 2 / 32768 / 2, atol=1e-6)
    with open_recording(f"flac -c -d -s {flac} | sox -t wav - -t wav - speed 0.9 |", tmp_path) as recording:
        assert recording.sample_rate == 14400
        assert recording.span(0.5, 1.0) == (7200, 14400)


def cut(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    return path


def make(path, content):
    path.write_bytes(content)
    return path


NOT_FINITE = SAMPLES.astype(np.float32) / 32768
NOT_FINITE[12345] = np.nan
DAMAGE = {
    "missing": ("missing", lambda p: p / "none.wav"),
    "folder": ("not_audio", lambda p: p),
    "zero bytes": ("empty", lambda p: make(p / "a.wav", b"")),
    "zero samples": ("empty", lambda p: write(p / "a.wav", SAMPLES[:0])),
    "text": ("not_audio", lambda p: make(p / "a.wav", b"<html>404 not found</html>")),
    "html as flac": ("not_audio", lambda p: make(p / "a.flac", b"<html>404 not found</html>")),
    "cut wav": ("truncated", lambda p: cut(write(p / "a.wav"), 0.6)),
    "cut wav by more than 0.1 s": ("truncated", lambda p: cut(write(p / "a.wav"), 0.93)),
    "cut flac": ("truncated", lambda p: cut(write(p / "a.flac"), 0.6)),
    "cut flac by little": ("truncated", lambda p: cut(write(p / "a.flac"), 0.999)),
    "damaged flac": ("truncated", lambda p: flip(write(p / "a.flac"))),
    "cut aiff": ("truncated", lambda p: cut(write(p / "a.aiff"), 0.6)),
    "cut au": ("truncated", lambda p: cut(write(p / "a.au"), 0.6)),
    "cut sphere": ("truncated", lambda p: cut(write(p / "a.sph", format="NIST", subtype="PCM_16"), 0.6)),
    "cut mp3": ("truncated", lambda p: cut(write(p / "a.mp3"), 0.4)),
    "nan": ("not_finite", lambda p: write(p / "a.wav", NOT_FINITE, subtype="FLOAT")),
    "failing pipe": ("command_failed", lambda p: "echo broken >&2; exit 3 |"),
    "failing start of a pipe": ("command_failed", lambda p: f"cat {p}/none.wav | cat |"),
    "unknown program": ("command_failed", lambda p: "no-such-program a.wav |"),
    "silent pipe": ("empty", lambda p: "true |"),
    "missing ark": ("missing", lambda p: f"{p}/none.ark:5"),
    "no audio in ark": ("not_audio", lambda p: f"{make(p / 'a.ark', b'utt [ 1 2 3 ] ')}:4"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage(tmp_path, case):
    reason, prepare = DAMAGE[case]
    with pytest.raises(RejectedAudio) as caught:
        read(prepare(tmp_path), tmp_path)
    assert caught.value.reason == reason, str(caught.value)
    assert "\n" not in caught.value.detail and "\t" not in caught.value.detail


def test_a_cut_ark(tmp_path):
    arrays = {"a": (SAMPLES, 16000)}
    kaldiio.save_ark(f"{tmp_path}/f.ark", arrays, write_function="soundfile", write_kwargs={"format": "FLAC"})
    cut(tmp_path / "f.ark", 0.6)
    with pytest.raises(RejectedAudio, match="truncated"):
        read(f"{tmp_path}/f.ark:2", tmp_path)
    kaldiio.save_ark(f"{tmp_path}/w.ark", {"a": (16000, SAMPLES)})
    cut(tmp_path / "w.ark", 0.6)
    with pytest.raises(RejectedAudio, match="truncated"):
        read(f"{tmp_path}/w.ark:2", tmp_path)


def test_the_failing_command_and_its_message_are_shown(tmp_path):
    with pytest.raises(RejectedAudio, match=r"exit code 3 of 'echo broken >&2; exit 3': broken"):
        read("echo broken >&2; exit 3 |", tmp_path)


def test_segments(tmp_path):
    entry = str(write(tmp_path / "a.wav"))  # 1.5 s
    with open_recording(entry, tmp_path) as recording:
        assert recording.span(0.25, 1.0) == (4000, 16000)
        assert recording.span(1.0, 1.9) == (16000, 24000)  # ends a little late
        assert recording.span(1.0, -1) == (16000, 24000)
        for start, end in ((1.0, 2.1), (1.5, 1.6), (3, 4)):
            with pytest.raises(RejectedAudio, match=r"too_short: .* the audio ends at 1\.500 s"):
                recording.span(start, end)


@pytest.mark.parametrize(
    "command",
    ["sleep 543", "cat | sleep 543", "(sleep 543 & wait)", "while :; do sleep 0.1; done", "sleep 543 & sleep 543"],
)
def test_a_command_that_stands_still_is_ended_with_all_that_it_started(tmp_path, monkeypatch, command):
    monkeypatch.setenv("WAV_SCP_COMMAND_SECONDS", "0.5")
    monkeypatch.chdir(tmp_path)
    hung = r"command_hung: .* was not over after 0\.5 s and was ended"
    with pytest.raises(RejectedAudio, match=hung), open_recording(f"{command} |", tmp_path):
        pass
    # A grandchild dies by the same signal, but nobody here waits for it: the kernel may need a moment.
    give_up = time.monotonic() + 10
    while (left := _processes_in(tmp_path)) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not left


def _processes_in(folder: Path) -> list[str]:
    others = (path for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid()))
    return [process.name for process in others if _works_in(process, folder)]


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return os.readlink(process / "cwd") == str(folder)
    except OSError:  # it is gone
        return False
