"""Tables of noises and rooms in; parts of their sounds, or the reason why a table cannot be used, out."""

import numpy as np
import pytest
import soundfile
from tiny_sounds import SAMPLE_RATE, noise, write_scp

from espnet2.data.augment.augment import AugmentConfig, open_augmenter
from espnet2.data.augment.files import SoundFiles
from espnet2.data.augment.signal import power
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError


def augmenter(**sections):
    return open_augmenter(parse_config(AugmentConfig, sections, "augment"), SAMPLE_RATE, 10)


def no_partner(random, num_samples):
    raise AssertionError("nothing is mixed here")


def test_only_the_wanted_part_of_a_file_is_read(tmp_path, monkeypatch):
    ramp = np.arange(200_000, dtype=np.float32) / 200_000
    files = SoundFiles.open(write_scp(tmp_path / "noise", {"ramp": ramp}), SAMPLE_RATE, "here")
    read, plain = [], soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda self, frames=-1, **o: read.append(frames) or plain(self, frames, **o)
    )
    starts = set()
    for seed in range(20):
        part = files.draw_noise(np.random.default_rng(seed), 500, loop=True)
        start = round(float(part[0]) * 200_000)
        np.testing.assert_allclose(part, ramp[start : start + 500], atol=1e-6)
        starts.add(start)
    assert read == [500] * 20 and len(starts) == 20 and max(starts) > 100_000 > min(starts)


def test_short_noise_is_repeated_or_placed(tmp_path):
    sound = noise(300)
    files = SoundFiles.open(write_scp(tmp_path / "noise", {"short": sound}), SAMPLE_RATE, "here")
    looped = files.draw_noise(np.random.default_rng(0), 1000, loop=True)
    np.testing.assert_array_equal(looped[:300], looped[300:600])
    np.testing.assert_array_equal(np.sort(looped[:300]), np.sort(sound))
    np.testing.assert_array_equal(files.draw_noise(np.random.default_rng(0), 1000, loop=False), sound)
    placed = augmenter(noise={"noise_scp": files.scp, "probability": 1, "fill": "place", "snr_db": [3, 3]})
    wav, firsts = noise(1000, seed=1), set()
    for seed in range(20):
        added = placed(wav, np.random.default_rng(seed), no_partner).wav - wav
        first, last = np.flatnonzero(added)[[0, -1]]
        assert last - first < 300
        assert 10 * np.log10(power(wav[first : last + 1]) / power(added[first : last + 1])) == pytest.approx(3, abs=0.1)
        firsts.add(int(first))
    assert len(firsts) > 10


def test_other_rates_and_channels_are_converted(tmp_path):
    time = np.arange(8000) / 8000
    stereo = np.stack([np.sin(2 * np.pi * 500 * time), np.sin(2 * np.pi * 900 * time)], axis=1)
    files = SoundFiles.open(write_scp(tmp_path / "noise", {"tone": stereo}, sample_rate=8000), SAMPLE_RATE, "here")
    part = files.draw_noise(np.random.default_rng(0), 4000, loop=True)
    assert len(part) == 4000
    assert np.argmax(np.abs(np.fft.rfft(part))) * SAMPLE_RATE / 4000 == pytest.approx(500, abs=4)
    assert len(files.draw_response(np.random.default_rng(0))) == 16000


def test_ark_entries_are_read_by_offset(tmp_path):
    soundfile.write(tmp_path / "one.wav", noise(500), SAMPLE_RATE, subtype="FLOAT")
    head, body = b"name ", (tmp_path / "one.wav").read_bytes()
    (tmp_path / "a.ark").write_bytes(head + body)
    (tmp_path / "wav.scp").write_text(f"name {tmp_path}/a.ark:{len(head)}\n")
    files = SoundFiles.open(str(tmp_path / "wav.scp"), SAMPLE_RATE, "here")
    np.testing.assert_array_equal(files.draw_response(np.random.default_rng(0)), noise(500))


def test_wrong_tables_are_refused(tmp_path):
    good = write_scp(tmp_path / "good", {"a": noise(10)})
    silence = write_scp(tmp_path / "none", {"b": noise(0)})
    (tmp_path / "text.wav").write_text("no audio")
    long = write_scp(tmp_path / "long", {"c": noise(11 * SAMPLE_RATE)})
    for contents, message in {
        None: "no such file",
        "": "is empty",
        "x sox a.wav -t wav - |\n": "'x' is a pipe.*format_wav_scp",
        f"x {tmp_path}/gone.wav\n": r"1 of 1 entries cannot be used: 'x' \(.*gone.wav\): no such file",
        f"x {tmp_path}/text.wav\n": "is no audio",
        f"a {good[:-7]}a.wav\nb {silence[:-7]}b.wav\n": "1 of 2 entries.*'b'.*has no samples",
        "x a\nx b\n": "key 'x' appears twice",
    }.items():
        scp = tmp_path / "wav.scp"
        scp.unlink(missing_ok=True)
        if contents is not None:
            scp.write_text(contents)
        with pytest.raises(UserError, match=rf"augment\.noise\.1\.noise_scp: .*{message}"):
            augmenter(noise=[{"noise_scp": good}, {"noise_scp": str(scp)}])
    with pytest.raises(UserError, match=r"augment\.reverb\.rir_scp: .*'c'.*11\.0 s long, an impulse response at most"):
        augmenter(reverb={"rir_scp": long})
    assert augmenter(noise=[{"noise_scp": long}])


def test_a_file_that_vanishes_during_training_is_named(tmp_path):
    files = SoundFiles.open(write_scp(tmp_path / "noise", {"a": noise(10)}), SAMPLE_RATE, "here")
    (tmp_path / "noise/a.wav").unlink()
    with pytest.raises(UserError, match=r"wav\.scp: 'a' .*cannot be read any more"):
        files.draw_noise(np.random.default_rng(0), 5, loop=True)
    write_scp(tmp_path / "noise", {"a": np.full(10, np.nan)})
    with pytest.raises(UserError, match=r"'a' .*NaN"):
        files.draw_noise(np.random.default_rng(0), 5, loop=True)
