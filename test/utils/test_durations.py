"""get_utt2dur.sh and get_reco2dur.sh: audio files, archives, pipes and segments in, seconds out."""

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile


def write_wav(path: Path, seconds: float, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(b"\0\0" * int(seconds * rate))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder "d d" with audio of several kinds."""
    folder = tmp_path / "d d"
    folder.mkdir()
    write_wav(folder / "a.wav", 1.5)
    write_wav(folder / "b.wav", 0.25, 16000)
    audio = (folder / "a.wav").read_bytes()
    (folder / "x.ark").write_bytes(b"utt " + audio + b"utt2 " + (folder / "b.wav").read_bytes())
    soundfile.write(folder / "c.flac", np.zeros(88200), 44100)
    soundfile.write(folder / "s.sph", np.zeros(6000), 8000, format="NIST", subtype="PCM_16")
    (folder / "stream.wav").write_bytes(audio[:40] + b"\xff\xff\xff\xff" + audio[44:])
    return folder


ENTRIES = {
    "d d/a.wav": "1.5",
    "d d/b.wav": "0.25",
    "d d/c.flac": "2",
    "d d/s.sph": "0.75",
    "d d/stream.wav": "1.5",
    "d d/x.ark:4": "1.5",
    "cat 'd d/a.wav' |": "1.5",
    "cat 'd d/a.wav' | cat - |": "1.5",
    "cat 'd d/stream.wav' | cat |": "1.5",
    "flac -c -d -s 'd d/c.flac' |": "2",
    "sph2pipe -f wav 'd d/s.sph' |": "0.75",
    "sph2pipe -f wav -p -c 1 'd d/s.sph' |": "0.75",
    "sox -t wav 'd d/a.wav' -t wav - speed 0.5 |": "3",
    "flac -cds 'd d/c.flac' | sox -t wav - -t wav - speed 1.25 |": "1.6",
    "cat 'd d/a.wav' | sox -t wav - -c 1 -b 16 -t wav - rate 16000 |": "1.5",
}


def test_every_kind_of_entry(run, folder) -> None:
    names = [f"u{number:02d}" for number in range(len(ENTRIES))]
    (folder / "utt2spk").write_text("".join(f"{name} {name}\n" for name in names))
    lines = [f"{name} {entry}\n" for name, entry in zip(names, ENTRIES, strict=True)]
    (folder / "wav.scp").write_text("".join(lines))
    expected = "".join(f"{name} {seconds}\n" for name, seconds in zip(names, ENTRIES.values(), strict=True))
    for script, table in (("data/get_utt2dur.sh", "utt2dur"), ("data/get_reco2dur.sh", "reco2dur")):
        result = run(script, "--nj", 3, "--cmd", "run.pl --max-jobs-run 2", folder)
        assert result.returncode == 0, result.stderr
        assert (folder / table).read_text() == expected
        again = run(script, folder)
        assert again.returncode == 0 and "already exists" in again.stdout
    assert (folder / "log" / "get_durations.3.log").exists()
    assert [path.name for path in (folder / "log").iterdir() if path.is_dir()] == []


BROKEN = [
    ("d d/missing.wav", "No such file"),
    ("d d/empty.wav", "empty file"),
    ("d d/text.wav", ""),
    ("cat 'd d/missing.wav' | cat |", "wrote nothing"),
    ("false |", "wrote nothing: false"),
]


@pytest.mark.parametrize(("entry", "message"), BROKEN)
def test_audio_that_cannot_be_read(run, folder, entry, message) -> None:
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is no audio\n" * 10)
    (folder / "utt2spk").write_text("u s\nv s\n")
    (folder / "wav.scp").write_text(f"u {entry}\nv d d/a.wav\n")
    result = run("data/get_utt2dur.sh", folder)
    assert result.returncode == 1 and message in result.stderr and "u: " in result.stderr
    assert "Traceback" not in result.stderr and not (folder / "utt2dur").exists()
    result = run("data/get_utt2dur.sh", "--permissive", "true", folder)
    assert result.returncode == 0 and (folder / "utt2dur").read_text() == "v 1.5\n"
    assert "warning: utt2dur has 1 lines, utt2spk has 2" in result.stderr


def test_segments_and_frames(run, folder) -> None:
    (folder / "utt2spk").write_text("u s\nv s\n")
    (folder / "utt2num_frames").write_text("u 100\nv 33\n")
    assert run("data/get_utt2dur.sh", "--frame-shift", 0.02, folder).returncode == 0
    assert (folder / "utt2dur").read_text() == "u 2\nv 0.66\n"
    (folder / "utt2dur").unlink()
    (folder / "segments").write_text("u r 0.10 1.35\nv r 2 100000\n")
    assert run("data/get_utt2dur.sh", folder).returncode == 0
    assert (folder / "utt2dur").read_text() == "u 1.25\nv 99998\n"


def test_nothing_to_learn_lengths_from(run, folder) -> None:
    assert "no such file" in run("data/get_utt2dur.sh", folder).stderr
    (folder / "utt2spk").write_text("u s\n")
    assert "to exist" in run("data/get_utt2dur.sh", folder).stderr
    assert run("data/get_reco2dur.sh", folder).returncode == 1
