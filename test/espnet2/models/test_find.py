"""Names of models in, their files out: found once, hashed once."""

import sys
from pathlib import Path

import pytest
import torch
from tiny_packed import write_kmeans
from tiny_units import write_experiment
from trained import write_empty

from espnet2.bin import ssl_pack
from espnet2.models import find
from espnet2.models.find import ModelFiles, find_model
from espnet2.models.load import load_model
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """The calls that read or find all of a model's weights."""
    calls: list[str] = []

    def counting(name, function):
        def call(*arguments, **options):
            calls.append(name)
            return function(*arguments, **options)

        return call

    for name in ("hash_file", "locate_model"):
        monkeypatch.setattr(find, name, counting(name, getattr(find, name)))
    return calls


def test_files_of_every_form_of_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_empty(Path("exp/a"), "latest", "best_loss")
    config = tmp_path / "exp/a/config.yaml"
    latest, best = (Path(f"exp/a/checkpoints/{tag}/model.safetensors") for tag in ("latest", "best_loss"))
    assert find_model("exp/a") == ModelFiles("exp/a", "latest", latest, config)
    assert find_model(Path("exp/a"), "best_loss") == ModelFiles("exp/a", "best_loss", best, config)
    for name in (best, best.parent):
        assert find_model(name) == ModelFiles(str(name), "latest", best, config)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("checkpoints/latest/model.safetensors", "no trained model"),
        ("config.yaml", "no config.yaml in"),
    ],
)
def test_a_model_that_is_not_whole_is_refused_where_it_is_named(tmp_path, gone, message):
    (write_empty(tmp_path / "a") / gone).unlink()
    with pytest.raises(UserError, match=message):
        find_model(tmp_path / "a")


def test_weights_are_hashed_once(tmp_path, counted):
    model = find_model(write_empty(tmp_path / "a"))
    assert counted == ["locate_model"]
    assert model.hash == model.hash == hash_file(model.weights)
    assert counted == ["locate_model", "hash_file"]


def test_a_training_that_goes_on_changes_no_model_that_was_found(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    model, checkpoints = find_model(experiment), experiment / "checkpoints"
    before, hash_before = load_model(model).model.state_dict(), model.hash
    write_experiment(tmp_path / "other", seed=1)
    (tmp_path / "other/checkpoints/update_1").rename(checkpoints / "update_2")
    (checkpoints / "latest").unlink()
    (checkpoints / "latest").symlink_to("update_2")
    again = load_model(model)
    assert all(torch.equal(value, before[name]) for name, value in again.model.state_dict().items())
    assert again.hash == hash_before == hash_file(model.weights) != find_model(experiment).hash


def run(program, monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    program.main()


def test_packing_finds_and_hashes_a_model_once(tmp_path, counted, monkeypatch):
    experiment = write_experiment(tmp_path / "exp", frontend="conv")
    kmeans = write_kmeans(tmp_path / "exp/kmeans/own", experiment)
    counted.clear()
    words = ["--kmeans", kmeans, "--formats", "huggingface torchaudio"]
    run(ssl_pack, monkeypatch, "--model", experiment, "--output", tmp_path / "packed", *words)
    assert counted == ["locate_model", "hash_file"]
    assert (tmp_path / "packed/huggingface").is_dir() and (tmp_path / "packed/kmeans/own").is_dir()


def test_rows_of_the_same_model_share_its_files(tmp_path, counted):
    from espnet2.evaluate.units.table import parse_rows

    exp = write_empty(tmp_path / "a")
    systems = parse_rows(f"untrained:{exp} model:{exp} codes:{exp}")
    assert len({system.source_hash for system in systems}) == 1
    assert counted == ["locate_model", "hash_file"]
