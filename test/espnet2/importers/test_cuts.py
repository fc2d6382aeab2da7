"""Cuts and Shar folders that lhotse itself wrote in; tables, parts and phones out, or one message with the number."""

import sys

import lhotse
import numpy as np
import pytest
import soundfile
from stage3 import run as run_stage3
from stage3 import samples_of

from espnet2.bin.ssl_import_shards import main
from espnet2.data.format.plan import FormatOptions
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table


@pytest.fixture(scope="module")
def waves():
    return [(np.random.default_rng(n).standard_normal(16000 + 1600 * n) * 3000).astype(np.int16) for n in range(6)]


@pytest.fixture(scope="module")
def recordings(waves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number, wave in enumerate(waves):
        soundfile.write(folder / f"r{number}.flac", wave, 16000, subtype="PCM_16")
    return [lhotse.Recording.from_file(folder / f"r{number}.flac") for number in range(len(waves))]


def supervised(recording, start, duration, number):
    """A cut with a supervision and an alignment."""
    item = lhotse.supervision.AlignmentItem
    alignment = {"phone": [item("a", start + 0.1, 0.2), item("b", start + 0.3, 0.15)]}
    supervision = lhotse.SupervisionSegment(
        f"s{number}", recording.id, start, duration, text=f"number {number}", speaker=f"spk{number % 2}",
        language="fr", alignment=alignment,
    )  # fmt: skip
    cut = lhotse.MonoCut(f"c{number}", 0.0, recording.duration, 0, recording=recording, supervisions=[supervision])
    return cut.truncate(offset=start, duration=duration).with_id(f"c{number}")


@pytest.fixture
def cuts(recordings):
    """Two parts of the first recording, the others whole."""
    whole = [supervised(one, 0.0, one.duration, number) for number, one in enumerate(recordings[1:], 2)]
    return [supervised(recordings[0], 0.0, 0.5, 0), supervised(recordings[0], 0.5, 0.5, 1), *whole]


def run(monkeypatch, tmp_path, *words):
    options = ["--output_dir", tmp_path / "out", "--work_dir", tmp_path / "work", "--nj", "1", "--valid_share", "0.01"]
    monkeypatch.setattr(sys, "argv", ["ssl_import_shards", *map(str, [*options, *words])])
    main()
    return tmp_path / "out"


def both(folder, name):
    return {**read_table(folder / "train" / name), **read_table(folder / "dev" / name)}


def test_cuts_become_parts_of_their_recordings(cuts, waves, tmp_path, monkeypatch):
    lhotse.CutSet.from_cuts(cuts).to_file(tmp_path / "cuts.jsonl.gz")
    out = run(monkeypatch, tmp_path, "--train", tmp_path / "cuts.jsonl.gz", "--alignment", "phone")
    assert both(out, "text") == {f"spk{n % 2}-c{n}": f"number {n}" for n in range(7)}
    assert both(out, "utt2spk") == {f"spk{n % 2}-c{n}": f"spk{n % 2}" for n in range(7)}
    assert set(both(out, "utt2lang").values()) == {"fr"}
    ctm = (out / "train/phones.ctm").read_text() + (out / "dev/phones.ctm").read_text()
    assert "spk1-c1 1 0.1000 0.2000 a\n" in ctm and "spk1-c1 1 0.3000 0.1500 b\n" in ctm
    assert " 16000 16000 1 - -\n" in (out / "train/reco2header").read_text() + (out / "dev/reco2header").read_text()
    audio = {}
    for name in ("train", "dev"):
        run_stage3(out / name, tmp_path / name, FormatOptions(16000, "as_is"))
        audio |= samples_of(tmp_path / name)
    expected = {"spk0-c0": waves[0][:8000], "spk1-c1": waves[0][8000:]}
    expected |= {f"spk{n % 2}-c{n}": waves[n - 1] for n in range(2, 7)}
    assert audio.keys() == expected.keys()
    assert all(np.array_equal(audio[utt] * 32768, wave) for utt, wave in expected.items())


def test_shar(cuts, waves, tmp_path, monkeypatch):
    whole = lhotse.CutSet.from_cuts(cuts[2:])
    (tmp_path / "shar").mkdir()
    whole.to_shar(tmp_path / "shar", fields={"recording": "flac"}, shard_size=3, verbose=False)
    out = run(monkeypatch, tmp_path, "--train", tmp_path / "shar", "--alignment", "phone")
    entries = both(out, "wav.scp")
    assert set(entries) == {f"spk{n % 2}-c{n}" for n in range(2, 7)}
    assert all("/recording.00000" in entry and ".tar:" in entry for entry in entries.values())
    run_stage3(out / "train", tmp_path / "train", FormatOptions(16000, "as_is"))
    for utt_id, samples in samples_of(tmp_path / "train").items():
        assert np.array_equal(samples * 32768, waves[int(utt_id[-1]) - 1])
    (tmp_path / "shar/recording.000001.tar").rename(tmp_path / "shar/away.tar")
    with pytest.raises(UserError, match=r"recording.000001.tar: no such shard"):
        run(monkeypatch, tmp_path / "again", "--train", tmp_path / "shar")
    (tmp_path / "shar/away.tar").rename(tmp_path / "shar/recording.000000.tar")
    with pytest.raises(UserError, match=r"recording.000000.tar: has 'c5' where cuts.000000.jsonl.gz has 'c2'"):
        run(monkeypatch, tmp_path / "other", "--train", tmp_path / "shar/cuts.000000.jsonl.gz")


def test_recordings_alone(recordings, tmp_path, monkeypatch):
    lhotse.RecordingSet.from_recordings(recordings).to_file(tmp_path / "recordings.jsonl.gz")
    out = run(monkeypatch, tmp_path, "--train", tmp_path / "recordings.jsonl.gz")
    assert set(both(out, "wav.scp").values()) == {one.sources[0].source for one in recordings}


def mixed(cuts):
    return cuts[0].mix(cuts[1]).with_id("m")


def missing(cuts):
    recording = lhotse.utils.fastcopy(cuts[2].recording, sources=[lhotse.AudioSource("file", [0], "/none.flac")])
    return lhotse.utils.fastcopy(cuts[2], recording=recording)


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (mixed, (), r"cuts.jsonl.gz, number 1 \(m\): a MixedCut; expected a MonoCut"),
        (lambda cuts: cuts[2].resample(8000), (), r"number 1 \(c2\): its recording is changed when it is read"),
        (lambda cuts: lhotse.utils.fastcopy(cuts[2], recording=None), (), r"number 1 \(c2\): has no recording"),
        (missing, (), r"number 1 \(c2\): /none.flac: no such file"),
        (lambda cuts: cuts[2], ("--alignment", "word"), r"number 1 \(c2\): no alignment 'word'; it has: phone"),
    ],
)
def test_what_cannot_be_read_as_it_lies_is_named(cuts, tmp_path, monkeypatch, change, words, message):
    lhotse.CutSet.from_cuts([change(cuts), cuts[3]]).to_file(tmp_path / "cuts.jsonl.gz")
    with pytest.raises(UserError, match=message):
        run(monkeypatch, tmp_path, "--train", tmp_path / "cuts.jsonl.gz", *words)
    assert not (tmp_path / "out").exists()


def test_a_damaged_manifest(tmp_path, monkeypatch):
    (tmp_path / "cuts.jsonl").write_text('{"id": "a", "type"\n')
    with pytest.raises(UserError, match=r"cuts.jsonl: no manifest of lhotse, or damaged"):
        run(monkeypatch, tmp_path, "--train", tmp_path / "cuts.jsonl")


def test_without_lhotse_the_line_that_installs_it_is_said(tmp_path, monkeypatch):
    (tmp_path / "cuts.jsonl").write_text("{}\n")
    monkeypatch.setitem(sys.modules, "lhotse", None)
    with pytest.raises(UserError, match="pip install lhotse"):
        run(monkeypatch, tmp_path, "--train", tmp_path / "cuts.jsonl")
