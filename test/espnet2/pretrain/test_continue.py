"""Trainings that go on from a model: the locator, what comes along and is told, what is held, and a wrong family."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import TINY_CONF, tiny_model
from tiny_training import command_line, make_corpus
from tiny_units import write_experiment
from training_process import run_training

from espnet2.models.archive import write_archive
from espnet2.models.find import find_model
from espnet2.pretrain.architecture import load_training_config
from espnet2.pretrain.initial import load_all, load_initial, load_whole
from espnet2.pretrain.transfer import describe_transfer
from espnet2.tasks.build import build
from espnet2.train.freeze import freeze_parameters, held_parameters
from espnet2.utils.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))


def config_file(folder: Path, loss: str, **lines: object) -> Path:
    path = folder / "train.yaml"
    values = {"init_loss_conf": "true", "loss": loss, **lines}
    path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))
    return path


def packed(experiment: Path, folder: Path) -> Path:
    """An archive of the weights and the config, as packing makes it."""
    files = find_model(experiment)
    (folder / "model").mkdir(parents=True)
    for file in (files.weights, files.config_file):
        (folder / "model" / file.name).write_bytes(file.read_bytes())
    return write_archive(folder / "model", folder / "model.tar.gz")


def test_both_options_take_whatever_names_a_model(tmp_path):
    experiment = write_experiment(tmp_path / "exp", seed=5)
    theirs = load_file(find_model(experiment).weights)
    plain = tmp_path / "weights.safetensors"
    save_file(theirs, plain)  # without a config beside it
    archive = packed(experiment, tmp_path / "packed")
    for name in (experiment, archive, plain):
        model = tiny_model()
        copied = load_initial(model, [f"{name}:encoder:encoder:encoder.norm"])
        assert copied == {key for key in theirs if key.startswith("encoder.") and not key.startswith("encoder.norm.")}
        assert all(torch.equal(model.state_dict()[key], theirs[key]) for key in copied)
    assert load_whole(tiny_model(), find_model(archive)) == set(theirs)
    with pytest.raises(UserError, match=r"init_param hf:gone: no weights at hf:gone"):
        load_initial(tiny_model(), ["hf:gone"])  # the colon inside belongs to the name


def test_sizes_of_the_objective_come_from_the_model_where_they_are_left_out(tmp_path):
    experiment = write_experiment(tmp_path / "exp", "wav2vec2", seed=5)
    loss = "[{name: wav2vec2, conf: {num_negatives: 3}}]"
    config = load_training_config(config_file(tmp_path, loss, init_from=experiment))
    conf = config.loss[0].conf
    assert (conf.num_codes, conf.num_negatives) == (TINY_CONF["wav2vec2"]["num_codes"], 3)
    model = build(config)
    lines = load_all(config, model)
    assert lines[0].startswith(f"init_from {experiment} (hash ") and "frontend and encoder whole" in lines[0]
    assert lines[1].startswith("init_from: wav2vec2: as there: ") and "quantizer" in lines[1]
    assert "starts anew" not in " ".join(lines)
    quantizer = {name: value for name, value in model.state_dict().items() if "quantizer" in name}
    theirs = load_file(find_model(experiment).weights)
    assert quantizer and all(torch.equal(value, theirs[name]) for name, value in quantizer.items())


def test_what_starts_anew_and_what_stays_behind_is_told(tmp_path):
    experiment = write_experiment(tmp_path / "exp", "wav2vec2", frontend="fbank", seed=5)
    source = find_model(experiment)
    other = tiny_model("best_rq")
    lines = describe_transfer(other, load_whole(other, source), source)
    assert "best_rq: nothing of the objective is as there; starts anew: " in lines[1]
    assert lines[-1].startswith("init_from: left aside there: objectives.wav2vec2")
    wider = tiny_model("wav2vec2", conf={"num_codes": 6})
    lines = describe_transfer(wider, load_whole(wider, source), source)
    assert "of another shape: quantizer." in lines[1] and "there, (" in lines[1]
    labelled = find_model(write_experiment(tmp_path / "labelled", "hubert"))
    model = tiny_model("hubert")
    assert "of the k-means that the model was trained on" in describe_transfer(
        model, load_whole(model, labelled), labelled
    )[2].replace("\n", " ")
    student = tiny_model("dinosr")
    copied = {name for name in load_whole(student, labelled) if "teacher" not in name}
    assert "the teacher starts as a copy of the encoder" in describe_transfer(student, copied, labelled)[1]


def test_a_config_that_goes_on_needs_a_model_of_its_family(tmp_path):
    loss = "[{name: hubert}]"
    with pytest.raises(
        UserError, match=r"train.yaml: goes on from a model, but init_from names none; give --init_from"
    ):
        load_training_config(config_file(tmp_path, loss))
    source = write_experiment(tmp_path / "exp", frontend="fbank")
    with pytest.raises(UserError, match="attention_position: gated_relative, there none"):
        path = config_file(tmp_path, loss, encoder_conf="{attention_position: gated_relative}")
        load_training_config(path, ["--init_from", str(source)])


def test_held_parameters_stay_for_so_many_updates_and_a_resumed_run_does_the_same(tmp_path):
    words = ["--freeze_param", "[frontend, encoder]", "--freeze_param_updates", "2"]
    paths = make_corpus(tmp_path, max_update=4, valid_interval_updates=1, keep_nbest_models=4)
    schedule = ["--scheduler_conf", "total_steps=4"]
    for name, updates in (("whole", "4"), ("broken", "2"), ("broken", "4")):
        command = [*command_line(paths, tmp_path, tmp_path / name), *words, *schedule, "--max_update", updates]
        assert run_training(command, log=tmp_path / "log") == 0, (tmp_path / "log").read_text()[-2000:]
    whole, broken = (
        load_file(tmp_path / name / "checkpoints/latest/model.safetensors") for name in ("whole", "broken")
    )
    assert all(torch.equal(value, broken[name]) for name, value in whole.items())
    first, second, third = (
        load_file(tmp_path / f"whole/checkpoints/update_{update}/model.safetensors") for update in (1, 2, 3)
    )
    moved = {name.split(".")[0] for name in first if not torch.equal(first[name], second[name])}
    assert moved == {"objectives"}
    moved = {name.split(".")[0] for name in first if not torch.equal(second[name], third[name])}
    assert moved == {"frontend", "encoder", "objectives"}


def test_mistakes_about_what_is_frozen(tmp_path):
    model = tiny_model()
    with pytest.raises(UserError, match=r"freeze_param encoder.block.1: no such parameter; the encoder has the parts "):
        freeze_parameters(model, ["encoder.block.1"])
    with pytest.raises(UserError, match=r"encoder.blocks has the parts 0, 1"):
        freeze_parameters(model, ["encoder.blocks.7"])
    with pytest.raises(UserError, match="nothing is left to train"):
        freeze_parameters(model, ["frontend", "encoder", "objectives"], 10)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert held_parameters(model, ["frontend"], None, 1) == []
    loss = "[{name: hubert, conf: {num_classes: 7}}]"
    for lines, message in (
        ({"freeze_param_updates": 5}, "says how long, but not what"),
        ({"freeze_param_updates": 5, "freeze_param": "[encoder]", "fsdp": "true"}, "does not go with fsdp"),
    ):
        with pytest.raises(UserError, match=message):
            load_training_config(config_file(tmp_path, loss, init_loss_conf="false", **lines))
