"""Stage 3: the same output for any number of jobs; what conversions, segments and channels give; what travels along."""

import filecmp
import os
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import soxr
from stage3 import contents, make_corpus, make_data, noise, run, samples_of, write_lines

from espnet2.data.audio import decode
from espnet2.data.format import write as format_write
from espnet2.data.format.plan import FormatOptions, prepare
from espnet2.utils.kaldi_table import read_table


@pytest.mark.parametrize("audio_format", format_write.AUDIO_FORMATS)
def test_the_output_is_the_same_for_any_number_of_jobs(tmp_path, monkeypatch, audio_format):
    monkeypatch.setattr("espnet2.data.format.write.UTTERANCES_PER_ARK", 2)
    monkeypatch.setattr(format_write, "UTTERANCES_PER_ARK", 2)
    monkeypatch.chdir(tmp_path)
    data = make_corpus(tmp_path)
    results = []
    for jobs in (1, 3, 50):
        run(data, Path("out"), FormatOptions(16000, audio_format), jobs=jobs)
        results.append(contents(tmp_path / "out"))
        for number, samples in enumerate(samples_of(Path("out")).values()):
            assert np.array_equal(samples, noise(number, 3000 + 1000 * number).astype(np.float32) / 32768)
        (tmp_path / "out").rename(tmp_path / f"out{jobs}")
    assert results[0] == results[1] == results[2]
    assert results[0]["utt2num_samples"].split() == b"u0 3000 u1 4000 u2 5000 u3 6000 u4 7000 u5 8000 u6 9000".split()
    if audio_format.endswith("ark"):
        os.rename("out50", "out")
        for number, (rate, array) in enumerate(kaldiio.load_scp("out/wav.scp").values()):
            array = array if array.dtype == np.int16 else np.rint(array * 32768).astype(np.int16)
            assert rate == 16000 and np.array_equal(array, noise(number, 3000 + 1000 * number))


def test_statistics_are_those_of_the_samples_read_later(tmp_path):
    run(make_corpus(tmp_path), tmp_path / "out")
    stats = read_table(tmp_path / "out" / "utt2stats")
    for utt, samples in samples_of(tmp_path / "out").items():
        mean, variance = map(float, stats[utt].split())
        assert mean == pytest.approx(samples.mean(dtype=np.float64), rel=1e-8)
        assert variance == pytest.approx(samples.var(dtype=np.float64), rel=1e-8)


def test_what_travels_with_the_audio(tmp_path):
    data = make_corpus(tmp_path, 3)
    (tmp_path / "wav" / "1.wav").write_bytes(b"")
    write_lines(data / "text", ["u0 zero", "u1 eins", "u2 zwei ä"])
    write_lines(data / "utt2lang", ["u0 en", "u1 de", "u2 de"])
    write_lines(data / "phones.ctm", ["u0 1 0.0 0.1 a", "u0 1 0.1 0.1 b", "u1 1 0 0.1 c", "u2 1 0.0 0.2 d"])
    run(data, tmp_path / "out", max_rejected_ratio=0.5)
    out = tmp_path / "out"
    assert (out / "transcript").read_text(encoding="utf-8") == "u0 zero\nu2 zwei ä\n"
    assert not (out / "text").exists()  # training targets only, and not this stage's
    assert (out / "utt2lang").read_text() == "u0 en\nu2 de\n"
    assert (out / "phones.ctm").read_text() == "u0 1 0.0 0.1 a\nu0 1 0.1 0.1 b\nu2 1 0.0 0.2 d\n"
    assert (out / "utt2spk").read_text() == "u0 u\nu2 u\n"
    assert (out / "spk2utt").read_text() == "u u0 u2\n"
    assert (out / "rejected.tsv").read_text() == f"u1\tempty\t{tmp_path}/wav/1.wav: 0 bytes\n"
    write_lines(data / "text", ["u0 null", "u1 eins", "u2 zwei"])  # the audio is not done again for this
    (data / "utt2lang").unlink()
    inode = next((out / "audio").rglob("u0.flac")).stat().st_ino
    assert prepare(data, out, FormatOptions(16000, "flac"), 4) == 0
    run(data, out, max_rejected_ratio=0.5)
    assert (out / "transcript").read_text() == "u0 null\nu2 zwei\n"
    assert not (out / "utt2lang").exists()
    assert next((out / "audio").rglob("u0.flac")).stat().st_ino == inode


def test_resampling_and_speed(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "missing_programs", lambda command: ["sox"])
    time = np.arange(44100) / 44100
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 44100)
    data = make_data(
        tmp_path / "data",
        {
            "a": tmp_path / "tone.wav",
            "b": f"sox {tmp_path}/tone.wav -t wav - | sox -t wav - -t wav - speed 1.1 |",
            "c": f"sox {tmp_path}/tone.wav -r 8000 -t wav - |",
        },
    )
    run(data, tmp_path / "out", FormatOptions(16000, "wav"))
    got = samples_of(tmp_path / "out")
    assert [len(got[utt]) for utt in "abc"] == [16000, round(16000 / 1.1), 16000]
    for utt, hertz in (("a", 440), ("b", 484), ("c", 440)):
        expected = 0.5 * np.sin(2 * np.pi * hertz * np.arange(len(got[utt])) / 16000)
        assert np.abs(got[utt] - expected)[500:-500].max() < 1e-3


def test_long_audio_in_blocks_equals_one_pass(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(0, 60000), 22050)
    data = make_data(tmp_path / "data", {"a": tmp_path / "a.wav"})
    monkeypatch.setattr(decode, "BLOCK_FRAMES", 4096)
    run(data, tmp_path / "out", FormatOptions(16000, "wav"))
    whole = soxr.resample(noise(0, 60000).astype(np.float32) / 32768, 22050, 16000)
    assert np.array_equal(samples_of(tmp_path / "out")["a"] * 32768, np.rint(whole * 32768))


def test_loud_samples_clip_instead_of_wrapping(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile([1.5, -1.5, 0.5, 0.5], 100), 16000, subtype="FLOAT")
    options = FormatOptions(16000, "flac", max_clipped_ratio=0.5)
    run(make_data(tmp_path / "data", {"a": tmp_path / "a.wav"}), tmp_path / "out", options)
    assert samples_of(tmp_path / "out")["a"][:3].tolist() == [32767 / 32768, -1, 0.5]
    assert (tmp_path / "out" / "utt2clipped").read_text() == "a 0.5\n"


def test_segments(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "r.flac", noise(0, 48000), 16000)
    soundfile.write(tmp_path / "s.wav", noise(1, 16000), 16000)
    data = make_data(
        tmp_path / "data",
        {"r": f"cat < {tmp_path}/r.flac |", "s": tmp_path / "s.wav"},
        segments=["a r 0.5 1.25", "b r 2 3.1", "c s 0 0.5", "d s 0.9 1.6", "e s 0.5 -1"],
        keys="abcde",
    )
    calls = []
    run_pipe = decode.run_command
    monkeypatch.setattr(decode, "run_command", lambda *args: (calls.append(args), run_pipe(*args)))
    run(data, tmp_path / "out", max_rejected_ratio=0.2)
    got = {utt: np.rint(samples * 32768) for utt, samples in samples_of(tmp_path / "out").items()}
    assert sorted(got) == ["a", "b", "c", "e"]
    assert np.array_equal(got["a"], noise(0, 48000)[8000:20000])
    assert np.array_equal(got["b"], noise(0, 48000)[32000:])
    assert np.array_equal(got["e"], noise(1, 16000)[8000:])
    assert len(calls) == 1  # one command for both of its segments
    rejected = (tmp_path / "out" / "rejected.tsv").read_text()
    assert rejected == "d\ttoo_short\tthe segment is 0.9..1.6 s, the audio ends at 1.000 s\n"


def test_several_channels(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.stack([noise(0), noise(1)], 1), 16000)
    data = make_data(tmp_path / "data", {"a": tmp_path / "a.wav"})
    assert run(data, tmp_path / "first")["num_first_channel"] == 1
    assert run(data, tmp_path / "second", FormatOptions(16000, "flac", 1))["num_first_channel"] == 0
    assert np.array_equal(samples_of(tmp_path / "first")["a"] * 32768, noise(0))
    assert np.array_equal(samples_of(tmp_path / "second")["a"] * 32768, noise(1))


def test_flac_that_needs_no_change_is_copied_but_checked(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(0), 16000)
    soundfile.write(tmp_path / "b.flac", noise(0), 16000, subtype="PCM_24")
    soundfile.write(tmp_path / "c.flac", np.zeros(8000), 16000)
    data = make_data(tmp_path / "data", {utt: tmp_path / f"{utt}.flac" for utt in "abc"})
    run(data, tmp_path / "out", max_rejected_ratio=0.5)
    audio = tmp_path / "out" / "audio" / "00000"
    assert filecmp.cmp(tmp_path / "a.flac", audio / "a.flac", shallow=False)
    assert soundfile.info(audio / "b.flac").subtype == "PCM_16"
    assert sorted(path.name for path in audio.iterdir()) == ["a.flac", "b.flac"]
    assert (tmp_path / "out" / "rejected.tsv").read_text() == "c\tsilent\tall 8000 samples are zero\n"
