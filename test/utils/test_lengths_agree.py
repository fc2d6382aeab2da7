"""One set of files of every kind in; the same lengths out of stage 3, the tools, the audio folder and augmentation.

From the clone's root and from a recipe, whose `utils` is a link; and speed for all of them, with and without sox.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_audio import COUNT, RATE, WAVE, encoded, flac_with_total, mp3, put, put_number, riff
from repository import ROOT
from spoken import write_with_pyav
from stage3 import make_data, run

from espnet2.data.augment.files import SoundFiles

sys.path.insert(0, str(ROOT / "egs2/audio_folder/ssl1/local"))
from inspection import InspectOptions, inspect

from espnet2.data_prep.vad import CutOptions

RECIPE = ROOT / "egs2/mini_espeak/ssl1"
OTHER_RATE_WAVE = WAVE[::2]  # at 8 kHz it lasts as long


def audio_files(folder: Path) -> dict[str, str]:
    """An entry of wav.scp for each kind of audio; each lasts about 2 s, some by other headers."""
    contents = {
        "pcm.wav": encoded(), "float.wav": encoded("WAV", "FLOAT"),
        "gsm.wav": encoded("WAV", "GSM610", OTHER_RATE_WAVE, 8000),
        "ima.wav": encoded("WAV", "IMA_ADPCM"), "ms.wav": encoded("WAV", "MS_ADPCM"),
        "ulaw.wav": encoded("WAV", "ULAW"),
        "g721.au": encoded("AU", "G721_32", OTHER_RATE_WAVE, 8000), "dwvw.aiff": encoded("AIFF", "DWVW_16"),
        "a.flac": encoded("FLAC"), "no_length.flac": flac_with_total(0), "lies.flac": flac_with_total(8000),
        "a.ogg": encoded("OGG", "VORBIS"), "a.opus": encoded("OGG", "OPUS"), "chained.opus": encoded("OGG", "OPUS") * 2,
        "xing.mp3": mp3(WAVE), "plain.mp3": mp3(WAVE, with_xing=False),
        "rf64.wav": encoded("RF64"), "a.w64": encoded("W64"),
        "a.aiff": encoded("AIFF"), "a.caf": encoded("CAF"), "a.sph": encoded("NIST", "ULAW"),
        "died.wav": riff(data_size=0),
        "less.wav": riff(data_size=16000), "died.rf64.wav": put_number(encoded("RF64"), b"ds64", 0, skip=12, width=8),
    }  # fmt: skip
    entries = {name.replace(".", "-"): put(folder / name, content) for name, content in contents.items()}
    for name in ("talk.m4a", "talk.g722"):
        entries[name.replace(".", "-")] = str(write_with_pyav(folder / name, WAVE))
    ark = b"first " + riff(data_size=0, riff_size=0) + b"second "
    entries["ark-riff"] = f"{put(folder / 'w.ark', ark + riff())}:6"
    flac = encoded("FLAC")
    ark = b"u AUDIO" + bytes((8,)) + len(flac).to_bytes(8, "little") + flac
    entries["ark-flac"] = f"{put(folder / 'f.ark', ark)}:2"
    entries["pipe"] = f"cat {folder}/died.wav |"
    entries["pipe-flac"] = f"flac -c -d -s {folder}/lies.flac |"
    entries["pipe-unknown"] = f"cat < {folder}/less.wav |"
    return {key: entries[key] for key in sorted(entries)}


def write_set(folder: Path, entries: dict[str, str]) -> Path:
    data = make_data(folder, entries)
    (data / "utt2spk").write_text("".join(f"{key} {key}\n" for key in entries))
    (data / "spk2utt").write_text("".join(f"{key} {key}\n" for key in entries))
    return data


def table(path: Path) -> dict[str, float]:
    return {key: float(value) for key, value in (line.split() for line in path.read_text().splitlines())}


def stage3_seconds(data: Path, output: Path) -> dict[str, float]:
    run(data, output)
    return {key: value / RATE for key, value in table(output / "utt2num_samples").items()}


def tool(name: str, *arguments: object, cwd: Path, path: str | None = None) -> None:
    environment = {**os.environ, **({"PATH": path} if path else {})}
    done = subprocess.run(
        [f"utils/{name}", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_lengths_everywhere(tmp_path: Path) -> None:
    entries = audio_files(tmp_path)
    data = write_set(tmp_path / "data", entries)
    expected = stage3_seconds(data, tmp_path / "out")
    assert list(expected) == list(entries)
    for key, seconds in expected.items():
        assert seconds == pytest.approx(4.0 if "chained" in key else 2.0, abs=0.1), key
    for cwd in (ROOT, RECIPE):
        for script, name in (("data/get_utt2dur.sh", "utt2dur"), ("data/get_reco2dur.sh", "reco2dur")):
            (data / name).unlink(missing_ok=True)
            tool(script, "--nj", 2, data, cwd=cwd)
            assert table(data / name) == pytest.approx(expected, abs=0.001), (cwd, script)
    (data / "utt2dur").unlink()
    tool("data/get_utt2dur.sh", "--read-entire-file", "true", "--nj", 2, data, cwd=RECIPE)
    assert table(data / "utt2dur") == pytest.approx(expected, abs=0.001)


def test_audio_folder_and_augmentation_count_the_same(tmp_path: Path) -> None:
    entries = {key: entry for key, entry in audio_files(tmp_path).items() if not entry.endswith("|")}
    expected = stage3_seconds(write_set(tmp_path / "data", entries), tmp_path / "out")
    options = InspectOptions("none", 20.0, False, CutOptions(1.0, 20.0))
    for key, entry in entries.items():
        if not key.startswith("ark"):
            inspection = inspect(Path("/"), entry.lstrip("/"), options, tmp_path)
            assert (inspection.reason, inspection.seconds) == ("", pytest.approx(expected[key], abs=0.001)), key
    names = [key for key in entries if not key.startswith("talk")]  # PyAV's formats have to be converted for this
    for key in names:
        (tmp_path / "noise.scp").write_text(f"{key} {entries[key]}\n")
        files = SoundFiles.open(str(tmp_path / "noise.scp"), RATE, "augment.reverb.rir_scp")
        assert len(files.draw_response(np.random.default_rng(0))) == pytest.approx(expected[key] * RATE, abs=1), key
        for seed in range(3):
            assert len(files.draw_noise(np.random.default_rng(seed), 4000, loop=False)) == 4000


def test_segments_to_the_end_and_a_little_late(tmp_path: Path) -> None:
    """The header of the second recording says a quarter of what is there."""
    entries = {"r": put(tmp_path / "r.wav", encoded()), "s": put(tmp_path / "s.wav", riff(data_size=16000))}
    rows = ["a r 0.5 -1", "b r 1.0 2.3", "c s 1.0 1.5", "d s 0.25 -1"]
    data = make_data(tmp_path / "data", entries, segments=rows, keys="abcd")
    (data / "spk2utt").write_text("".join(f"{key} {key}\n" for key in "abcd"))
    expected = stage3_seconds(data, tmp_path / "out")
    assert expected == pytest.approx({"a": 1.5, "b": 1.0, "c": 0.5, "d": 1.75})
    for cwd in (ROOT, RECIPE):
        (data / "utt2dur").unlink(missing_ok=True)
        tool("validate_data_dir.sh", "--no-feats", "--no-text", data, cwd=cwd)
        tool("data/get_utt2dur.sh", data, cwd=cwd)
        assert table(data / "utt2dur") == pytest.approx(expected)
    tool("perturb_data_dir_speed.sh", "0.8", data, tmp_path / "slow", cwd=RECIPE)
    slow = stage3_seconds(tmp_path / "slow", tmp_path / "slow_out")
    assert slow == pytest.approx({f"sp0.8-{key}": value / 0.8 for key, value in expected.items()}, abs=0.011)


FAKE_SOX = "#!/bin/sh\necho 'sox: this program knows no formats' >&2\nexit 2\n"


@pytest.mark.parametrize("programs", ["none", "sox and wav-copy that fail"])
def test_speed_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: str) -> None:
    """sox of some machine knows neither m4a nor a header that lies: what it would do is done here."""
    (tmp_path / "bin").mkdir()
    if programs != "none":
        for name in ("sox", "wav-copy", "flac"):
            put(tmp_path / "bin" / name, FAKE_SOX.encode())
            (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    data = write_set(tmp_path / "data", audio_files(tmp_path))
    expected = stage3_seconds(data, tmp_path / "out")
    tool("perturb_data_dir_speed.sh", "0.8", data, tmp_path / "slow", cwd=RECIPE)
    slow = stage3_seconds(tmp_path / "slow", tmp_path / "slow_out")
    assert slow == pytest.approx({f"sp0.8-{key}": value / 0.8 for key, value in expected.items()}, abs=0.001)
    assert table(tmp_path / "slow" / "utt2dur") == pytest.approx(slow, abs=0.001)
    first = (tmp_path / "slow_out" / "wav.scp").read_text().splitlines()[0].split()[1]
    wave = soundfile.read(first)[0]
    peak = np.abs(np.fft.rfft(wave[:RATE])).argmax()  # Hz
    assert peak == pytest.approx(220 * 0.8, abs=2) and len(wave) == pytest.approx(COUNT / 0.8, abs=700)
