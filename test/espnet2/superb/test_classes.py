"""Classification tasks of SUPERB: official layouts in, right answers of separable classes out, no wrong number."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from superb_corpora import QUICK, fluent_speech_commands, iemocap, speech_commands, voxceleb1
from tiny_units import run_program, write_experiment

from espnet2.superb.base import Batch
from espnet2.superb.classes import MeanHead
from espnet2.superb.result import read_result
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table

CORPORA = {
    "speech_commands": speech_commands,
    "fluent_speech_commands": fluent_speech_commands,
    "voxceleb1": voxceleb1,
    "iemocap": iemocap,
}
QUICK_OPTIONS = [f"{task}.{key}={value}" for task in ("ks", "ic", "sid", "er") for key, value in QUICK.items()]
QUICK_OPTIONS.append("ks.updates=96")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """All four corpora, prepared."""
    root = tmp_path_factory.mktemp("superb")
    for name, make in CORPORA.items():
        run_program("ssl_superb_data", "--corpus", name, make(root / name), root / "data")
    return root / "data"


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """All of them with log-mel, whose tones are easy to tell."""
    output = tmp_path_factory.mktemp("output")
    run_all(data, output)
    return output


def run_all(data: Path, output: Path) -> None:
    """A search of two rates; the five folds of ER take one of them, so that the tests stay quick."""
    for tasks, rates in (("er", "1e-2"), ("ks ic sid", "3e-2 1e-2")):
        words = ["--data", data, "--output", output, "--systems", "logmel", "--learning_rates", rates]
        run_program("ssl_superb", *words, "--tasks", tasks, "--options", *QUICK_OPTIONS)


def test_the_preparers_keep_the_official_lists(data):
    labels = {part: read_table(data / "ks" / part / "labels") for part in ("train", "dev", "test")}
    assert set(labels["train"].values()) == set(labels["test"].values()) and len(set(labels["test"].values())) == 12
    assert sum(value == "_silence_" for value in labels["train"].values()) == 3  # whole seconds of 3.2
    assert not set(labels["train"]) & set(labels["dev"]) - {name for name in labels["dev"] if "_silence_" in name}
    assert next(iter(read_table(data / "ic/train/labels").values())).count("\t") == 2
    speakers = {part: set(read_table(data / "sid" / part / "utt2spk").values()) for part in ("train", "dev", "test")}
    assert speakers["train"] == speakers["dev"] == speakers["test"] and len(speakers["train"]) == 5
    for fold in range(1, 6):
        folder = data / f"er/fold{fold}"
        assert {name.split("_")[0] for name in read_table(folder / "test/labels")} == {f"Ses0{fold}F"}
        counts = [len(read_table(folder / part / "labels")) for part in ("train", "dev", "test")]
        assert counts == [38, 10, 12] and set(read_table(folder / "test/labels").values()) == {
            "neu",
            "hap",
            "ang",
            "sad",
        }
    assert json.loads((data / "ks/superb.json").read_text())["official"]


def test_tones_are_told_and_everything_is_recorded(run):
    for task in ("ks", "ic", "sid", "er"):
        result = read_result(run, "log-mel", task)
        assert result["figures"]["acc"] > 0.85, (task, result["figures"])
        search = result["details"]["search"]
        assert {entry["learning_rate"] for entry in search} == ({0.01} if task == "er" else {0.03, 0.01})
        assert len(search) == (5 if task == "er" else 2)
        assert result["deviations"] and result["official_data"] and result["details"]["layer_weights"] == [1.0]
    table = (run / "RESULTS.md").read_text()
    assert "| system | KS Acc ↑ | IC Acc ↑ | SID Acc ↑ | ER Acc ↑ |" in table
    assert "| HuBERT Base (published) | 96.30 | 98.34 | 81.42 | 64.92 |" in table
    assert "not with the published rows" in table and "updates 24 (official 200000)" in table


def test_random_labels_are_not_told(data, tmp_path):
    """What comes out depends on the labels: shuffled ones are told about as often as by chance."""
    shutil.copytree(data / "ic", tmp_path / "data/ic")
    for part in ("train", "dev", "test"):
        file = tmp_path / "data/ic" / part / "labels"
        rows = read_table(file)
        values = list(rows.values())
        shuffled = [
            values[int(index)] for index in torch.randperm(len(values), generator=torch.Generator().manual_seed(3))
        ]
        file.write_text("".join(f"{name} {value}\n" for name, value in zip(rows, shuffled, strict=True)))
    words = ["--data", tmp_path / "data", "--output", tmp_path / "exp", "--systems", "logmel"]
    run_program("ssl_superb", *words, "--learning_rates", "1e-2", "--options", *QUICK_OPTIONS)
    assert read_result(tmp_path / "exp", "log-mel", "ic")["figures"]["acc"] < 0.75


def test_a_second_run_keeps_all_and_encodes_nothing(data, run, capsys):
    words = ["--data", data, "--output", run, "--systems", "logmel", "--learning_rates", "3e-2 1e-2"]
    before = (run / "log-mel/ks.json").read_bytes()
    run_all(data, run)
    assert capsys.readouterr().err.count("unchanged, kept") == 4
    assert (run / "log-mel/ks.json").read_bytes() == before
    (run / "log-mel/ks.json").unlink()
    run_program("ssl_superb", *words, "--tasks", "ks", "--options", *QUICK_OPTIONS)
    assert "0 utterances encoded" in capsys.readouterr().err


def test_a_model_is_mixed_over_all_its_layers_with_the_input_of_the_first(data, tmp_path):
    exp = write_experiment(tmp_path / "exp/tiny")
    words = ["--data", data, "--output", tmp_path / "superb", "--systems", "model untrained mfcc", "--tasks", "ic"]
    run_program("ssl_superb", *words, "--options", "ic.updates=4", "ic.eval_every=2", "--", exp)
    rows = {title: read_result(tmp_path / "superb", title, "ic") for title in ("tiny", "tiny, untrained", "MFCC")}
    assert [len(row["details"]["layer_weights"]) for row in rows.values()] == [3, 3, 1]
    assert rows["tiny"]["kind"] == "model" and rows["tiny"]["details"]["learning_rate"] == 1e-4


def test_the_head_takes_means_as_it_takes_frames():
    torch.manual_seed(0)
    head, lengths = MeanHead(6, 5, 3), torch.tensor([7, 4])
    features = torch.randn(2, 7, 6)
    means = torch.stack([features[0].mean(0), features[1, :4].mean(0)])[:, None]
    assert torch.allclose(head(features, lengths), head(means, torch.tensor([1, 1])), atol=1e-6)
    assert Batch(features, lengths, ()).lengths is lengths


@pytest.mark.parametrize(
    ("task", "damage", "message"),
    [
        ("ks", lambda folder: shutil.rmtree(folder / "test"), "test/wav.scp: no such file"),
        ("ks", lambda folder: (folder / "dev/labels").unlink(), "dev/labels: no such file"),
        ("ic", lambda folder: _relabel(folder / "train/labels", "activate\tlights\tnone"), "only one class"),
        ("ic", lambda folder: _relabel(folder / "test/labels", "fly\tlights\tnone"), "class 'fly', which train"),
        ("ic", lambda folder: _relabel(folder / "test/labels", "activate"), "1 values, those of train have 3"),
        ("sid", lambda folder: _shorten(folder / "dev/utt2spk"), "no label of"),
        ("ks", lambda folder: _add(folder / "test/labels", "zz yes"), "zz not in wav.scp"),
        ("sid", lambda folder: (folder / "dev/wav.scp").write_text(""), "wav.scp is empty"),
        ("er", lambda folder: shutil.rmtree(folder / "fold3/test"), "fold3/test/wav.scp: no such file"),
    ],
)  # fmt: skip
def test_data_that_would_give_a_wrong_figure_is_refused_before_anything_is_computed(
    data, tmp_path, task, damage, message
):
    shutil.copytree(data / task, tmp_path / "data" / task)
    damage(tmp_path / "data" / task)
    with pytest.raises(UserError, match=message):
        run_program("ssl_superb", "--data", tmp_path / "data", "--output", tmp_path / "exp", "--systems", "logmel")
    assert not (tmp_path / "exp").exists()


def _relabel(table: Path, value: str) -> None:
    table.write_text("".join(f"{name} {value}\n" for name in read_table(table)))


def _add(table: Path, line: str) -> None:
    table.write_text(table.read_text() + f"{line}\n")


def _shorten(table: Path) -> None:
    table.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))
