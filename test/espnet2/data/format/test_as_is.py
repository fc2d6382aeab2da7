"""Stage 3 with as_is: tables from headers, parts as entries, and whatever does not fit refused by name."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from audio_sources import SOURCES, as_tar
from stage3 import make_data, noise, run, samples_of, write_lines

from espnet2.data.audio.decode import Recording
from espnet2.data.format.filter import DurationLimits, filter_by_duration
from espnet2.data.format.plan import FormatOptions
from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.waveform import load_wav
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table

AS_IS = FormatOptions(16000, "as_is")
FULL = replace(AS_IS, check_audio="full")


@pytest.fixture
def files(tmp_path):
    paths = {f"u{number}": tmp_path / f"u{number}.flac" for number in range(7)}
    for number, path in enumerate(paths.values()):
        soundfile.write(path, noise(number, 3000 + 1000 * number), 16000, subtype="PCM_16")
    return paths


@pytest.mark.parametrize("source", ["ark", "tar", "parquet"])
def test_the_tables_are_those_of_formatted_audio(files, tmp_path, source):
    data = make_data(tmp_path / "data", SOURCES[source](files, tmp_path))
    run(data, tmp_path / "written", jobs=2)
    run(data, tmp_path / "full", FULL, jobs=2)
    for name in ("utt2num_samples", "utt2stats", "rejected.tsv"):
        assert (tmp_path / "full" / name).read_bytes() == (tmp_path / "written" / name).read_bytes(), name
    assert read_table(tmp_path / "full/wav.scp") == read_table(data / "wav.scp")
    assert not (tmp_path / "full/audio").exists()
    expected = samples_of(tmp_path / "written")
    assert all(np.array_equal(wave, expected[utt]) for utt, wave in samples_of(tmp_path / "full").items())


def test_statistics_that_nobody_noted_are_the_same_bits(files, tmp_path):
    data = make_data(tmp_path / "data", as_tar(files, tmp_path))
    properties = run(data, tmp_path / "sampled", AS_IS)
    assert properties["check_audio"] == "sample" and set(read_table(tmp_path / "sampled/utt2stats").values()) == {
        "nan nan"
    }
    run(data, tmp_path / "full", FULL)
    indexes = []
    for name in ("sampled", "full"):
        filter_by_duration(tmp_path / name, tmp_path / f"dump_{name}", DurationLimits(0.1, 20))
        indexes.append(AudioIndex(build_index(tmp_path / f"dump_{name}")))
    for row in range(len(files)):
        first, second = (load_wav(index, row, normalize=True) for index in indexes)
        assert first.equal(second) and abs(float(first.mean())) < 1e-5


def test_a_sample_is_decoded_and_full_decodes_all(files, tmp_path, monkeypatch):
    decoded = []
    blocks = Recording.blocks
    monkeypatch.setattr(Recording, "blocks", lambda self, *words: decoded.append(self.entry) or blocks(self, *words))
    data = make_data(tmp_path / "data", as_tar(files, tmp_path))
    run(data, tmp_path / "sampled", AS_IS)
    assert len(decoded) == 1
    run(data, tmp_path / "full", FULL)
    assert len(decoded) == 8


def test_segments_become_parts(files, tmp_path):
    data = make_data(tmp_path / "data", {"u0": files["u0"], "u1": files["u1"]}, keys=["a", "b", "c"])
    write_lines(data / "segments", ["a u0 0.00 0.10", "b u0 0.05 -1", "c u1 0.1 0.25"])
    run(data, tmp_path / "out", AS_IS)
    run(data, tmp_path / "written")
    assert read_table(tmp_path / "out/wav.scp")["a"] == f"{files['u0']}@0+1600"
    expected = samples_of(tmp_path / "written")
    assert all(np.array_equal(wave, expected[utt]) for utt, wave in samples_of(tmp_path / "out").items())


def test_headers_that_stage_1_noted_are_not_read_again(files, tmp_path):
    data = make_data(tmp_path / "data", {utt: str(path) for utt, path in files.items()})
    write_lines(data / "reco2header", [f"u{n} {3000 + 1000 * n} 16000 1 FLAC PCM_16" for n in range(7)])
    for path in list(files.values())[1:]:
        path.rename(path.with_suffix(".away"))
    run(data, tmp_path / "out", AS_IS)
    assert read_table(tmp_path / "out/utt2num_samples")["u6"] == "9000"
    write_lines(data / "reco2header", [f"u{n} {3001 + 1000 * n} 16000 1 FLAC PCM_16" for n in range(7)])
    with pytest.raises(UserError, match=r"u0: reco2header says 3001 16000 1 FLAC PCM_16, the audio 3000 16000"):
        run(data, tmp_path / "out", AS_IS)
    write_lines(data / "reco2header", ["u0 3000 16000"])
    with pytest.raises(UserError, match=r"reco2header:1: expected '<recording> <samples> <Hz>"):
        run(data, tmp_path / "out", AS_IS)


def wrong_rate(path):
    soundfile.write(path, noise(3), 8000)


def stereo(path):
    soundfile.write(path, np.stack([noise(3), noise(4)], 1), 16000)


def floats(path):
    soundfile.write(path, noise(3) / 32768, 16000, subtype="FLOAT", format="WAV")


def two_recordings(path):
    path.write_bytes(2 * path.read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (wrong_rate, r"utterance u3: .*u3.flac: 8000 Hz, expected 16000 \(--fs\); --audio_format flac writes"),
        (stereo, r"utterance u3: .*u3.flac: 2 channels, expected one"),
        (floats, r"utterance u3: .*u3.flac: samples are FLOAT"),
        (two_recordings, r"u3.flac: its header and its contents differ, or it holds several recordings"),
    ],
)
def test_what_does_not_fit_stops_it_by_name(files, tmp_path, damage, message):
    damage(files["u3"])
    data = make_data(tmp_path / "data", {utt: str(path) for utt, path in files.items()})
    with pytest.raises(UserError, match=message):
        run(data, tmp_path / "out", AS_IS)
    assert not (tmp_path / "out/wav.scp").exists()


def test_damage_is_rejected_as_always(files, tmp_path):
    data = make_data(tmp_path / "data", as_tar(files, tmp_path))
    shard = tmp_path / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:9000])
    run(data, tmp_path / "out", AS_IS, max_rejected_ratio=0.9)
    assert "too early" in (tmp_path / "out/rejected.tsv").read_text()
    assert json.loads((tmp_path / "out/format.json").read_text())["num_rejected"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (replace(AS_IS, channel=1), "as_is takes mono audio only"),
        (replace(AS_IS, check_audio="none"), "--check_audio none: expected one of sample, full"),
        (FormatOptions(16000, "as-is"), "expected one of wav, flac, wav.ark, flac.ark, as_is"),
    ],
)
def test_options_that_do_not_fit(files, tmp_path, options, message):
    data = make_data(tmp_path / "data", {utt: str(path) for utt, path in files.items()})
    with pytest.raises(UserError, match=message):
        run(data, tmp_path / "out", options)


def test_a_command_is_refused(files, tmp_path):
    data = make_data(tmp_path / "data", {"u0": f"sox {files['u0']} -t wav - |"})
    with pytest.raises(UserError, match="is a command, which training would not run"):
        run(data, tmp_path / "out", AS_IS)
