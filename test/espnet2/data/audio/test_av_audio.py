"""Files that libsndfile does not know in; what stage 3 reads of them checked."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from spoken import to_int16, vowels, write_with_pyav

from espnet2.data.audio.av_audio import duration_seconds
from espnet2.data.audio.decode import open_recording
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.utils.errors import UserError

WAVE = vowels(1.5)


def read(path: Path, scratch: Path) -> tuple[np.ndarray, float]:
    """The samples and the rate that stage 3 gets."""
    with open_recording(str(path), scratch) as recording:
        samples = np.concatenate(list(recording.blocks(*recording.whole(), None)))
        return (samples if samples.dtype == np.int16 else to_int16(samples)), recording.sample_rate


@pytest.mark.parametrize(("name", "delay"), [("talk.m4a", 0), ("Talk.M4A", 0), ("talk.g722", 22)])
def test_samples_rate_and_length(tmp_path: Path, name: str, delay: int) -> None:
    """G.722's two filters delay by 22 samples."""
    path = write_with_pyav(tmp_path / name, WAVE)
    (tmp_path / "scratch").mkdir()
    samples, rate = read(path, tmp_path / "scratch")
    expected = to_int16(WAVE)
    assert rate == 16000 and abs(len(samples) - len(expected)) <= 1024
    length = min(len(samples), len(expected)) - delay
    assert np.corrcoef(samples[delay : delay + length], expected[:length])[0, 1] > 0.95
    assert not list((tmp_path / "scratch").iterdir())


def test_length_without_decoding(tmp_path: Path) -> None:
    path = write_with_pyav(tmp_path / "a.m4a", WAVE)
    samples, rate = read(path, tmp_path)
    assert duration_seconds(str(path)) == pytest.approx(len(samples) / rate, abs=0.001)
    assert duration_seconds(str(write_with_pyav(tmp_path / "a.g722", WAVE))) is None  # it has no header
    (tmp_path / "b.m4a").write_text("no audio")
    assert duration_seconds(str(tmp_path / "b.m4a")) is None


def test_unusable_files_have_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.m4a").touch()
    (tmp_path / "text.m4a").write_text("no audio" * 100)
    soundfile.write(tmp_path / "cut.wav", WAVE, 16000)
    whole = write_with_pyav(tmp_path / "whole.m4a", WAVE).read_bytes()
    (tmp_path / "half.m4a").write_bytes(whole[: len(whole) // 2])
    for name, reason in (("empty", "empty"), ("text", "not_audio"), ("half", "not_audio"), ("none", "missing")):
        with pytest.raises(RejectedAudio) as caught:
            read(tmp_path / f"{name}.m4a", tmp_path)
        assert caught.value.reason == reason, name


def test_without_the_package_the_message_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    path = write_with_pyav(tmp_path / "a.m4a", WAVE)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"a\.m4a: .* pip install av"):
        read(path, tmp_path)
