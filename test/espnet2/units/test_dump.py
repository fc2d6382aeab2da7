"""Features of Kaldi data folders on disk: formats, layers, chunks, jobs, resuming after a kill, and refusals."""

import json
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
from tiny_model import tiny_model
from tiny_packed import write_kmeans
from tiny_units import run_program, write_experiment

from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.units.dump_files import DumpFiles
from espnet2.units.features import LayerFeatures
from espnet2.units.kmeans import assign
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table, write_table

LENGTHS = {"a": 16000, "b": 9000, "c": 20000, "d": 12345, "e": 7000}


def noise(num_samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3000, 3000, num_samples).astype(np.int16)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """data/<set> with a file, a pipe and three segments of one recording."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        soundfile.write(folder / f"{name}.wav", noise(LENGTHS[name], seed), 16000)
    write_table(
        folder / "wav.scp",
        [("a", f"{folder}/a.wav"), ("b", f"cat {folder}/b.wav |"), ("c", f"{folder}/c.wav")],
    )
    write_table(folder / "segments", [("a-0", "a 0 1"), ("b-0", "b 0 0.5"), ("c-0", "c 0 0.5"), ("c-1", "c 0.5 1.25")])
    return folder


def samples(data: Path, name: str, start: int, stop: int) -> torch.Tensor:
    return torch.from_numpy(soundfile.read(data / f"{name}.wav", dtype="float32")[0][start:stop])


def expected(data: Path) -> dict[str, torch.Tensor]:
    pieces = {"a-0": ("a", 0, 16000), "b-0": ("b", 0, 8000), "c-0": ("c", 0, 8000), "c-1": ("c", 8000, 20000)}
    return {name: samples(data, *piece) for name, piece in pieces.items()}


@pytest.mark.parametrize("normalize", ["none", "utterance"])
def test_arks_are_the_layers_of_every_utterance(tmp_path, data, normalize, capsys):
    model = write_experiment(tmp_path / "exp", frontend="conv", frontend_conf={"normalize": normalize})
    run_program("ssl_dump_features", "--model", model, "--layers", "all", data, tmp_path / "out")
    assert "times real time" in capsys.readouterr().err
    encoder = SpeechEncoder.from_pretrained(model)
    for layer in (1, 2):
        folder = tmp_path / f"out/layer_{layer}"
        features = dict(kaldiio.load_scp(str(folder / "feats.scp")))
        assert list(features) == list(expected(data))
        for name, wav in expected(data).items():
            written = torch.tensor(features[name])
            torch.testing.assert_close(written, encoder(wav).layers[layer][0], rtol=1e-4, atol=1e-5)
        assert read_table(folder / "utt2num_frames") == {name: str(len(value)) for name, value in features.items()}


def test_npy_and_units(tmp_path, data):
    model = write_experiment(tmp_path / "exp")
    kmeans = write_kmeans(model / "kmeans/km", model)
    run_program("ssl_dump_features", "--model", model, "--format", "npy", data, tmp_path / "npy")
    run_program("ssl_dump_features", "--model", model, "--format", "units", data, tmp_path / "units")
    encoder = SpeechEncoder.from_pretrained(model)
    paths, units = read_table(tmp_path / "npy/feats.scp"), read_table(tmp_path / "units/units.txt")
    for name, wav in expected(data).items():
        torch.testing.assert_close(torch.from_numpy(np.load(paths[name])), encoder(wav).layers[2][0])
        assert units[name] == " ".join(map(str, encoder.units(wav).ids[0].tolist()))
    other = write_kmeans(tmp_path / "other", model, teacher_hash="0")
    with pytest.raises(UserError, match="units of other features mean nothing here"):
        run_program(
            "ssl_dump_features", "--model", model, "--format", "units", "--kmeans", other, data, tmp_path / "no"
        )
    words = ["--model", write_experiment(tmp_path / "bare"), "--format", "units", data, tmp_path / "no"]
    with pytest.raises(UserError, match="carries no units of its own"):
        run_program("ssl_dump_features", *words)
    run_program("ssl_dump_features", *words[:-1], tmp_path / "given", "--kmeans", kmeans)
    assert read_table(tmp_path / "given/units.txt") == units  # the same weights


def test_units_of_the_models_own_codebooks(tmp_path, data):
    model = write_experiment(tmp_path / "exp", "dinosr")
    run_program("ssl_dump_features", "--model", model, "--format", "units", data, tmp_path / "out")
    encoder = SpeechEncoder.from_pretrained(model)
    for source in encoder.unit_sources:
        units = read_table(tmp_path / "out" / source / "units.txt")
        for name, wav in expected(data).items():
            assert units[name] == " ".join(map(str, encoder.units(wav, source=source).ids[0].tolist()))


@pytest.mark.parametrize("kind", ["ark", "units"])
def test_any_number_of_jobs_gives_the_same(tmp_path, data, kind):
    model = write_experiment(tmp_path / "exp")
    write_kmeans(model / "kmeans/km", model)
    for count in (1, 3):
        for job in reversed(range(1, count + 1)):
            assert not list((tmp_path / f"{count}").glob("feats.scp")) + list((tmp_path / f"{count}").glob("units.txt"))
            words = ["--model", model, "--format", kind, "--job", job, "--num_jobs", count]
            run_program("ssl_dump_features", *words, data, tmp_path / f"{count}")
    if kind == "units":
        assert (tmp_path / "1/units.txt").read_bytes() == (tmp_path / "3/units.txt").read_bytes()
        return
    one, three = (dict(kaldiio.load_scp(str(tmp_path / f"{count}/feats.scp"))) for count in (1, 3))
    assert list(one) == list(three)
    for name, value in one.items():
        np.testing.assert_allclose(three[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["ark", "npy", "units"])
def test_a_killed_job_goes_on_where_it_was(tmp_path, data, kind, monkeypatch, capsys):
    model = write_experiment(tmp_path / "exp")
    write_kmeans(model / "kmeans/km", model)
    words = ["--model", model, "--format", kind, data]
    run_program("ssl_dump_features", *words, tmp_path / "whole")
    write, calls = DumpFiles._note, []

    def die_at_third(self, entry):
        calls.append(entry)
        if len(calls) == 3:
            raise KeyboardInterrupt  # its data is written, but nobody noted it
        write(self, entry)

    monkeypatch.setattr(DumpFiles, "_note", die_at_third)
    with pytest.raises(KeyboardInterrupt):
        run_program("ssl_dump_features", *words, tmp_path / "out")
    monkeypatch.undo()
    (tmp_path / "out/.dump.1.jsonl").open("a").write('{"utt": "c-')  # cut short
    run_program("ssl_dump_features", *words, tmp_path / "out")
    assert "going on behind 2 utterances" in capsys.readouterr().err
    if kind == "units":
        assert (tmp_path / "out/units.txt").read_bytes() == (tmp_path / "whole/units.txt").read_bytes()
    elif kind == "ark":
        continued, whole = (dict(kaldiio.load_scp(str(tmp_path / f"{name}/feats.scp"))) for name in ("out", "whole"))
        assert list(continued) == list(whole)
        for name, value in whole.items():
            np.testing.assert_allclose(continued[name], value, rtol=1e-4, atol=1e-5)
    else:
        assert len(list((tmp_path / "out/npy").glob("*"))) == 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("feats*")}
    run_program("ssl_dump_features", *words, tmp_path / "out")
    assert "finished before, kept" in capsys.readouterr().err
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path.name != "feats.scp")


def test_other_options_do_not_go_on(tmp_path, data):
    model = write_experiment(tmp_path / "exp")
    for layer in (1, 2):
        run_program("ssl_dump_features", "--model", model, "--layers", layer, data, tmp_path / "out")
    features = dict(kaldiio.load_scp(str(tmp_path / "out/feats.scp")))
    encoder = SpeechEncoder.from_pretrained(model)
    for name, wav in expected(data).items():
        torch.testing.assert_close(torch.tensor(features[name]), encoder(wav).layers[2][0], rtol=1e-4, atol=1e-5)


def test_unreadable_audio_is_named_and_the_rest_is_written(tmp_path, data, capsys):
    (data / "b.wav").write_bytes(b"no audio")
    model = write_experiment(tmp_path / "exp")
    run_program("ssl_dump_features", "--model", model, data, tmp_path / "out")
    assert list(read_table(tmp_path / "out/feats.scp")) == ["a-0", "c-0", "c-1"]
    assert "left out: b-0: not_audio" in capsys.readouterr().err
    assert (tmp_path / "out/rejected.tsv").read_text().startswith("b-0\tnot_audio")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layers", "x"], "expected numbers such as"),
        (["--layers", "3"], "has no layer 3"),
        (["--job", "2"], "--job 2 --num_jobs 1"),
        (["--format", "units", "--kmeans", "codes"], "has no codes of its own"),
    ],
)
def test_refusals(tmp_path, data, words, message):
    with pytest.raises(UserError, match=message):
        run_program("ssl_dump_features", "--model", write_experiment(tmp_path / "exp"), *words, data, tmp_path / "out")


@pytest.mark.parametrize(
    ("frontend", "options"),
    [("conv", {"norm": "group"}), ("conv", {"norm": "layer"}), ("fbank", {"mel_norm": "utterance"})],
)
def test_what_is_cut_is_nearly_what_the_whole_gives(frontend, options):
    """A minute in chunks of ten seconds with the default context."""
    model = tiny_model(frontend=frontend, frontend_conf=options)
    generator = torch.Generator().manual_seed(3)
    level = torch.rand(600, generator=generator).repeat_interleave(1600) ** 3  # syllables, loud and soft
    wav = 0.3 * level * torch.randn(60 * 16000, generator=generator)
    (whole,) = LayerFeatures(model, [2], 16000).extract([wav])
    chunked = LayerFeatures(model, [2], 16000, whole_seconds=10, chunk_seconds=10)
    assert chunked.is_long(len(wav)) and not LayerFeatures(model, [2], 16000).is_long(len(wav))
    parts = list(chunked.stream(wav))
    assert len(parts) == 6
    cut = torch.cat(parts, dim=1)
    centroids = whole[0][torch.randperm(whole.size(1), generator=generator)[:100]]
    equal = (assign(cut[0], centroids) == assign(whole[0], centroids)).float().mean()
    assert equal >= 0.99, f"{100 * equal:.2f} % equal units"
    assert (cut - whole).abs().max() < 0.1


def test_long_audio_needs_the_memory_of_a_chunk(tmp_path, monkeypatch):
    """What is beyond the limit lies in a file; the features are streamed to disk part by part."""
    monkeypatch.setattr("espnet2.units.kaldi_audio.SPOOL_SECONDS", 0.5)
    data = tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "long.wav", noise(64000, 0), 16000)
    write_table(data / "wav.scp", [("long", f"{data}/long.wav")])
    model = write_experiment(tmp_path / "exp", frontend="conv", frontend_conf={"normalize": "utterance"})
    sizes = []
    write = DumpFiles._write_stream
    monkeypatch.setattr(
        DumpFiles, "_write_stream",
        lambda self, utt, parts, dim: write(self, utt, (sizes.append(part.shape[1]) or part for part in parts), dim),
    )  # fmt: skip
    words = ["--whole_seconds", 1, "--chunk_seconds", 0.5, "--context_seconds", 0.2, "--batch_seconds", 1]
    run_program("ssl_dump_features", "--model", model, *words, data, tmp_path / "out")
    (features,) = dict(kaldiio.load_scp(str(tmp_path / "out/feats.scp"))).values()
    assert len(sizes) == 8 and sum(sizes) == len(features) == 199
    encoder = SpeechEncoder.from_pretrained(model)
    whole = encoder(torch.from_numpy(soundfile.read(data / "long.wav", dtype="float32")[0])).layers[2][0]
    assert (torch.from_numpy(features) - whole).abs().max() < 0.1
    assert json.loads((tmp_path / "out/dump.1.json").read_text())["num_utterances"] == 1


def test_what_makes_no_frame_is_left_out_and_counted(tmp_path):
    """No empty matrices: Kaldi's and other readers fail on them."""
    data = tmp_path / "data"
    data.mkdir()
    for name, samples in (("a", 8000), ("b", 200), ("c", 8000)):
        soundfile.write(data / f"{name}.wav", noise(samples, 0), 16000)
    write_table(data / "wav.scp", [(name, f"{data}/{name}.wav") for name in "abc"])
    model = write_experiment(tmp_path / "exp", frontend="conv")
    run_program("ssl_dump_features", "--model", model, "--layers", "1", data, tmp_path / "out")
    assert [name for name, _ in kaldiio.load_scp(str(tmp_path / "out/feats.scp")).items()] == ["a", "c"]
    rejected = (tmp_path / "out/rejected.tsv").read_text()
    assert rejected.startswith("b\tshort") and "samples make no frame" in rejected
