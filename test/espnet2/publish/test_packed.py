"""Experiments in; packed models that work elsewhere, name no path, and carry the units that belong to them, out."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_packed import write_kmeans
from tiny_units import run_program, write_experiment

from espnet2.models.archive import write_archive
from espnet2.models.locate import locate_model
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.ssl.objective import objective_names
from espnet2.tasks.config import load_config
from espnet2.train.manifest import write_manifest
from espnet2.units.card import load_kmeans
from espnet2.utils.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wavs() -> torch.Tensor:
    return 0.1 * torch.randn(2, 12000, generator=torch.Generator().manual_seed(0))


def pack(experiment: Path, output: Path, *words: object) -> Path:
    run_program("ssl_pack", "--model", experiment, "--output", output, "--formats", "", *words)
    return output.with_name(f"{output.name}.tar.gz")


@pytest.mark.parametrize("objective", objective_names())
def test_an_archive_gives_the_features_of_the_experiment(tmp_path, objective):
    experiment = write_experiment(tmp_path / "exp", objective)
    archive = pack(experiment, tmp_path / "packed/tiny")
    ours, theirs = (SpeechEncoder.from_pretrained(path)(wavs()) for path in (archive, experiment))
    assert all(torch.equal(one, other) for one, other in zip(ours.layers, theirs.layers, strict=True))
    assert locate_model(archive) == locate_model(archive)  # unpacked once


def test_what_is_packed_names_no_path_and_holds_no_pickle(tmp_path, corpus_of_cards):
    experiment, targets, kmeans_of_model = corpus_of_cards
    config = experiment / "config.yaml"
    config.write_text(
        config.read_text().replace("init_param: []", "init_param: [/data/exp/teacher, exp/other:encoder]")
    )
    (experiment / "eval").mkdir()
    rows = [{"system": "/data/exp/a|b", "layer": 2, "pnmi": 0.5, "seeds": [0]}]
    (experiment / "eval/units.json").write_text(json.dumps({"part": "units", "rows": rows}))
    words = ["--targets", targets, "--kmeans", kmeans_of_model, "--license", "cc-by-4.0"]
    archive = pack(experiment, tmp_path / "packed/tiny", *words)
    folder = tmp_path / "packed/tiny"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    units = [
        f"kmeans/{name}/{file}"
        for name in ("own", "targets")
        for file in ("card.json", "centroids.safetensors", "tokens.txt")
    ]
    assert names == ["README.md", "card.json", "config.yaml", *units, "model.safetensors", "tokens.txt"]
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes() and b"/data" not in path.read_bytes(), path
    assert load_config(folder / "config.yaml").init_param == ()
    card = json.loads((folder / "card.json").read_text())
    assert (card["updates"], card["licence"], card["initialised_from"]) == (1, "cc-by-4.0", ["teacher", "other"])
    assert card["results"] == [{"part": "units", "system": "a|b", "layer": 2, "pnmi": 0.5}]
    assert [(entry["name"], entry["own"]) for entry in card["kmeans"]] == [("targets", False), ("own", True)]
    readme = (folder / "README.md").read_text()
    for text in ("license: cc-by-4.0", "1 updates", r"| a\|b | units | 2 | 0.5 |", "SpeechEncoder.from_pretrained"):
        assert text in readme, text
    encoder = SpeechEncoder.from_pretrained(archive)
    assert encoder.unit_sources == ("own",)
    original = SpeechEncoder.from_pretrained(experiment, kmeans=kmeans_of_model)
    assert torch.equal(encoder.units(wavs()).ids, original.units(wavs()).ids)
    assert load_kmeans(folder / "kmeans/targets")[1].hash == load_kmeans(targets)[1].hash


@pytest.fixture
def corpus_of_cards(tmp_path) -> tuple[Path, Path, Path]:
    """An experiment, the k-means of its targets, and one of its own layers."""
    experiment = write_experiment(tmp_path / "exp", conf={"num_classes": 4})
    targets = write_kmeans(tmp_path / "targets", experiment, teacher_hash="of the iteration before")
    return experiment, targets, write_kmeans(tmp_path / "km/own", experiment)


def test_units_of_another_model_are_refused_and_those_in_a_folder_are_chosen(tmp_path, corpus_of_cards):
    experiment, targets, kmeans = corpus_of_cards
    with pytest.raises(UserError, match="its units are not of this model"):
        pack(experiment, tmp_path / "p", "--kmeans", targets)
    write_kmeans(kmeans.parent / "foreign", experiment, teacher_hash="0")
    pack(experiment, tmp_path / "p", "--kmeans", kmeans.parent)
    assert [path.name for path in (tmp_path / "p/kmeans").iterdir()] == ["own"]


def test_targets_of_another_size_are_refused(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    with pytest.raises(UserError, match="has 4 clusters, but the model was trained on 7 classes"):
        pack(experiment, tmp_path / "p", "--targets", write_kmeans(tmp_path / "t", experiment, teacher_hash="0"))
    assert not (tmp_path / "p").exists()


def test_half_precision_keeps_the_units_and_the_origin(tmp_path, corpus_of_cards):
    experiment, _, kmeans = corpus_of_cards
    archive = pack(experiment, tmp_path / "p", "--dtype", "fp16", "--kmeans", kmeans)
    assert SpeechEncoder.from_pretrained(archive).unit_sources == ("own",)
    again = pack(archive, tmp_path / "q")  # a packed model is a model: its units go along
    assert SpeechEncoder.from_pretrained(again).unit_sources == ("own",)


def test_packing_again_replaces_and_nothing_else_is_replaced(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    first = pack(experiment, tmp_path / "p").read_bytes()
    assert pack(experiment, tmp_path / "p").read_bytes() == first
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="is there and no packed model"):
        pack(experiment, tmp_path / "mine")


DAMAGED_PACKS = {  # what somebody changed between packing and sending
    "another config": (
        lambda folder: (folder / "config.yaml").write_text("seed: 1\n"),
        "config.yaml is missing, or not",
    ),
    "other weights": (lambda folder: change_byte(folder / "model.safetensors"), "model.safetensors is missing, or not"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing, or not"),
    "one file more": (lambda folder: (folder / "more.txt").write_text("x"), "more.txt is not among the files"),
    "no card": (lambda folder: (folder / "card.json").unlink(), "no card.json"),
    "an empty card": (lambda folder: (folder / "card.json").write_text("{}"), "card.json lists no files"),
    "a card of nothing": (lambda folder: (folder / "card.json").write_text(""), "card.json is damaged"),
    "a card without files": (lambda folder: with_card(folder, files={}), "card.json lists no files"),
    "a card that is a list": (lambda folder: (folder / "card.json").write_text("[]"), "card.json lists no files"),
}


def change_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


def with_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize("case", DAMAGED_PACKS)
def test_unpacking_checks_every_file_and_leaves_nothing_of_a_damaged_one(tmp_path, case):
    experiment = write_experiment(tmp_path / "exp")
    archive = pack(experiment, tmp_path / "p")
    run_program("ssl_pack", "--unpack", archive, "--output", tmp_path / "out")
    change, message = DAMAGED_PACKS[case]
    change(tmp_path / "p")
    write_archive(tmp_path / "p", tmp_path / "changed.zip")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message):
        run_program("ssl_pack", "--unpack", tmp_path / "changed.zip", "--output", tmp_path / "deep/er/out2")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("case", ["another config", "other weights", "an empty card", "a card without files"])
@pytest.mark.parametrize("as_archive", [False, True])
def test_a_packed_model_that_was_changed_is_not_used(tmp_path, case, as_archive, cache):
    change, message = DAMAGED_PACKS[case]
    pack(write_experiment(tmp_path / "exp"), tmp_path / "p")
    change(tmp_path / "p")
    model = write_archive(tmp_path / "p", tmp_path / "changed.tar.gz") if as_archive else tmp_path / "p"
    with pytest.raises(UserError, match=message):
        SpeechEncoder.from_pretrained(model)
    with pytest.raises(UserError, match=message):
        run_program("ssl_export", "--model", model, "--to", "torchaudio", "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(cache.rglob("*.safetensors"))


def poisoned(value: float):
    def change(experiment: Path) -> None:
        path = experiment / "checkpoints/update_1/model.safetensors"
        state = load_file(path)
        name = next(name for name in state if name.endswith("weight") and name.startswith("encoder."))
        state[name].view(-1)[-1] = value
        save_file(state, path)

    return change


def noted_before(experiment: Path) -> None:
    """The manifest of a checkpoint whose weights were changed afterwards."""
    checkpoint = experiment / "checkpoints/update_1"
    write_manifest(checkpoint, {})
    change_byte(checkpoint / "model.safetensors")


def without_sense(experiment: Path) -> None:
    (experiment / "checkpoints/update_1/state").mkdir()
    (experiment / "checkpoints/update_1/state/manifest.json").write_text('{"model.safetensors": 3}')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (poisoned(float("nan")), "nan or inf"),
        (poisoned(float("inf")), "nan or inf"),
        (poisoned(float("-inf")), "nan or inf"),
        (noted_before, "other contents than the training wrote"),
        (without_sense, r"manifest.json: damaged"),
    ],
)
def test_weights_that_are_not_those_of_the_training_or_no_numbers_go_nowhere(tmp_path, change, message):
    experiment = write_experiment(tmp_path / "exp", frontend="conv")
    if change is noted_before:
        (experiment / "checkpoints/update_1/state").mkdir()
    change(experiment)
    for words in (
        ["ssl_pack", "--formats", ""],
        ["ssl_pack_model"],
        ["ssl_export", "--to", "torchaudio"],
        ["ssl_export", "--to", "onnx"],
    ):
        with pytest.raises(UserError, match=message):
            run_program(words[0], "--model", experiment, "--output", tmp_path / "out", *words[1:])
    with pytest.raises(UserError, match=message):
        SpeechEncoder.from_pretrained(experiment)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp"]


def test_a_folder_of_somebodys_own_needs_no_card(tmp_path):
    pack(write_experiment(tmp_path / "exp"), tmp_path / "p")
    (tmp_path / "p/card.json").unlink()
    archive = write_archive(tmp_path / "p", tmp_path / "own.zip")
    for model in (tmp_path / "p", archive):
        assert len(SpeechEncoder.from_pretrained(model)(wavs()).layers) > 1


def test_other_libraries_forms_are_packed_along_or_said_to_be_none(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "exp", frontend="conv")
    run_program("ssl_pack", "--model", experiment, "--output", tmp_path / "p")
    assert f"for huggingface: {tmp_path}/p/huggingface\n" in capsys.readouterr().out
    assert transformers.AutoModel.from_pretrained(tmp_path / "p/huggingface").config.hidden_size == 16
    assert (tmp_path / "p/torchaudio/model.safetensors").exists() and not list((tmp_path / "p").rglob("*.pt"))
    run_program("ssl_pack", "--model", write_experiment(tmp_path / "mel"), "--output", tmp_path / "q")
    card = json.loads((tmp_path / "q/card.json").read_text())
    assert "for torchaudio: not packed: mel: this architecture has no form in" in capsys.readouterr().out
    assert "has no form in" in card["formats"]["huggingface"] and not (tmp_path / "q/huggingface").exists()


def test_forms_that_an_archive_cannot_carry_or_that_there_are_not_are_said(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "exp", frontend="conv")
    run_program("ssl_pack", "--model", experiment, "--formats", "fairseq hugingface", "--output", tmp_path / "p")
    said = capsys.readouterr().out
    assert "for fairseq: not packed: fairseq is a pickle of more than weights" in said
    assert "'hugingface': no such form; models can be exported to fairseq, fairseq2, huggingface" in said
    assert not (tmp_path / "p/fairseq").exists() and not list((tmp_path / "p").rglob("*.pt"))
