"""Trained models in; small folders that load to the same features, with teachers only where asked for, out."""

import pytest
import torch
from safetensors import safe_open
from tiny_units import run_program, write_experiment
from trained import load_path

from espnet2.publish.pack import pack_model
from espnet2.ssl.objective import objective_names
from espnet2.tasks.build import teacher_names
from espnet2.utils.errors import UserError


def features(path) -> list[torch.Tensor]:
    model = load_path(path).model
    torch.manual_seed(0)
    wavs = 0.1 * torch.randn(2, 12000)
    return model.first.extract(wavs, torch.tensor([12000, 9000]), [1, 2])[0]


@pytest.mark.parametrize("objective", objective_names())
def test_a_packed_model_gives_the_same_features(tmp_path, objective):
    experiment = write_experiment(tmp_path / "exp", objective)
    size = pack_model(load_path(experiment), tmp_path / "packed")
    assert size == (tmp_path / "packed/model.safetensors").stat().st_size
    assert size < 0.75 * (experiment / "checkpoints/latest/model.safetensors").stat().st_size
    for ours, theirs in zip(features(tmp_path / "packed"), features(experiment), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.02)
    pack_model(load_path(experiment), tmp_path / "exact", dtype="fp32", with_teacher=True)
    before, after = load_path(experiment).model.state_dict(), load_path(tmp_path / "exact").model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_teacher_left_out_starts_as_its_student(tmp_path):
    experiment = write_experiment(tmp_path / "exp", "dinosr")
    pack_model(load_path(experiment), tmp_path / "packed", dtype="fp32")
    with safe_open(tmp_path / "packed/model.safetensors", "pt") as weights:
        assert not teacher_names(load_path(experiment).model) & set(weights.keys())
        assert weights.metadata()["teacher"] == "left out"
    model = load_path(tmp_path / "packed").model
    student, teacher = model.encoder.state_dict(), model.first.teacher.encoder.state_dict()
    assert all(torch.equal(value, teacher[name]) for name, value in student.items())


def test_half_a_teacher_is_a_damaged_file(tmp_path):
    from safetensors.torch import load_file, save_file

    experiment = write_experiment(tmp_path / "exp", "dinosr")
    path = experiment / "checkpoints/latest/model.safetensors"
    weights = load_file(path)
    del weights[sorted(name for name in weights if ".teacher." in name)[0]]
    save_file(weights, path)
    with pytest.raises(UserError, match="does not fit"):
        load_path(experiment)


def test_weights_beyond_half_precision_stay_whole(tmp_path):
    from safetensors.torch import load_file, save_file

    experiment = write_experiment(tmp_path / "exp")
    path = experiment / "checkpoints/latest/model.safetensors"
    weights = load_file(path)
    name = next(name for name, value in weights.items() if value.dim() == 1)
    weights[name][0] = 1e5
    save_file(weights, path)
    pack_model(load_path(experiment), tmp_path / "packed")
    stored = load_file(tmp_path / "packed/model.safetensors")
    assert torch.equal(stored[name], weights[name]) and torch.float16 in {value.dtype for value in stored.values()}


def test_too_large_a_model_is_refused_and_nothing_written(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    with pytest.raises(UserError, match=r"MiB as fp16, at most 0\.001 are wanted"):
        run_program("ssl_pack_model", "--model", experiment, "--output", tmp_path / "p", "--max_megabytes", "0.001")
    assert not (tmp_path / "p").exists()


def test_the_program_says_what_it_wrote(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "exp")
    run_program("ssl_pack_model", "--model", experiment, "--output", tmp_path / "p")
    assert " MiB" in capsys.readouterr().out and (tmp_path / "p/config.yaml").exists()
