"""read_audio: whole files and parts of them, from files and arks, and its errors."""

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet2.data.audio.read import read_audio
from espnet2.utils.errors import UserError

SAMPLES = (np.random.default_rng(0).standard_normal(20000) * 3000).astype(np.int16)
EXPECTED = SAMPLES.astype(np.float32) / 32768


def write_file(tmp_path, name):
    soundfile.write(tmp_path / name, SAMPLES, 16000, subtype="PCM_16")
    return str(tmp_path / name)


def write_wav_ark(tmp_path):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/w.ark,{tmp_path}/w.scp") as writer:
        writer["before"] = (16000, SAMPLES[:500])
        writer["utt"] = (16000, SAMPLES)
        writer["after"] = (16000, SAMPLES[:700])
    return [line.split()[1] for line in open(tmp_path / "w.scp")][1]


def write_flac_ark(tmp_path):
    arrays = {"before": (SAMPLES[:500], 16000), "utt": (SAMPLES, 16000), "after": (SAMPLES[:700], 16000)}
    options = {"write_function": "soundfile", "write_kwargs": {"format": "FLAC"}}
    kaldiio.save_ark(f"{tmp_path}/f.ark", arrays, scp=f"{tmp_path}/f.scp", **options)
    return [line.split()[1] for line in open(tmp_path / "f.scp")][1]


ENTRIES = {
    "wav": lambda path: write_file(path, "a b.wav"),
    "flac": lambda path: write_file(path, "a.flac"),
    "wav.ark": write_wav_ark,
    "flac.ark": write_flac_ark,
}


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize(("start", "num_samples"), [(0, None), (0, 1), (320, 4000), (19999, 1), (9600, None)])
def test_parts(tmp_path, kind, start, num_samples):
    samples, sample_rate = read_audio(ENTRIES[kind](tmp_path), start=start, num_samples=num_samples)
    assert sample_rate == 16000
    assert samples.dtype == np.float32
    stop = None if num_samples is None else start + num_samples
    assert np.array_equal(samples, EXPECTED[start:stop])


def test_errors(tmp_path):
    short = write_file(tmp_path, "short.wav")
    with pytest.raises(UserError, match=r"ends at sample 20000, expected at least 20001"):
        read_audio(short, start=10000, num_samples=10001)
    with pytest.raises(UserError, match="no such file"):
        read_audio(str(tmp_path / "none.wav"))
    with pytest.raises(UserError, match="no such file"):
        read_audio(f"{tmp_path}/none.ark:12")
    (tmp_path / "text.wav").write_text("not audio at all")
    with pytest.raises(UserError, match="cannot be read"):
        read_audio(str(tmp_path / "text.wav"))
    ark = write_wav_ark(tmp_path).rsplit(":", 1)[0]
    with pytest.raises(UserError, match="no audio at byte 3"):
        read_audio(f"{ark}:3")
    soundfile.write(tmp_path / "stereo.wav", np.stack([SAMPLES, SAMPLES], 1), 16000)
    with pytest.raises(UserError, match="2 channels"):
        read_audio(str(tmp_path / "stereo.wav"))


def test_a_pickle_in_an_ark_is_not_loaded(tmp_path):
    path = tmp_path / "p.ark"
    path.write_bytes(b"utt PKL" + b"cos\nsystem\n(S'touch " + str(tmp_path).encode() + b"/ran'\ntR.")
    with pytest.raises(UserError, match="no audio"):
        read_audio(f"{path}:4")
    assert not (tmp_path / "ran").exists()
