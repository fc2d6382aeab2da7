"""Adapters apart from their model: small, merged on load, and refused on a base that is not the one they changed."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import tiny_config
from tiny_units import run_program, write_experiment
from trained import load_path

from espnet2.models.adapter import encoding_hash
from espnet2.publish.pack import pack_model
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.ssl.adapt import LoraConfig, is_adapter
from espnet2.tasks.build import build, read_weights
from espnet2.tasks.config import dump_config
from espnet2.utils.errors import UserError

WEIGHTS = "checkpoints/update_1/model.safetensors"
WAVS = 0.1 * torch.randn(1, 9000, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write_adapted(base: Path, folder: Path, *, encoder: str = "transformer", **changes: object) -> Path:
    """exp/<name> of a training that began at `base`, with adapters that do something."""
    conf = LoraConfig(rank=2, alpha=4.0)
    config = tiny_config(encoder=encoder).model_copy(
        update={"adapt": "lora", "adapt_conf": conf, "init_from": str(base), **changes}
    )
    torch.manual_seed(1)
    model = build(config)
    model.load_state_dict(read_weights(base / WEIGHTS), strict=False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_up"):
                parameter.normal_(std=0.2)
    (folder / WEIGHTS).parent.mkdir(parents=True)
    save_file(model.state_dict(), folder / WEIGHTS)
    (folder / "checkpoints/latest").symlink_to("update_1")
    (folder / "config.yaml").write_text(dump_config(config))
    return folder


@pytest.fixture
def base() -> Path:
    return write_experiment(Path("exp/base"))


def layers(model: object) -> list[torch.Tensor]:
    return SpeechEncoder.from_pretrained(model)(WAVS).layers


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.fixture
def adapted(base) -> Path:
    return write_adapted(base, Path("exp/lora"))


def test_a_model_with_adapters_is_a_model_like_any_other(base, adapted):
    loaded = load_path(adapted)
    assert loaded.config.adapt == "none"
    assert loaded.model.state_dict().keys() == load_path(base).model.state_dict().keys()
    assert not same(layers(adapted), layers(base))
    pack_model(loaded, "packed", dtype="fp32")
    assert same(layers("packed"), layers(adapted)) and "adapt" not in Path("packed/config.yaml").read_text()
    assert not any(is_adapter(name) for name in load_file("packed/model.safetensors"))


def test_saved_apart_it_is_small_and_gives_the_same(base, adapted, capsys):
    run_program("ssl_save_adapter", "--model", adapted, "--output", "lora.safetensors")
    assert "lora.safetensors: " in capsys.readouterr().out
    assert all(is_adapter(name) for name in load_file("lora.safetensors"))
    assert Path("lora.safetensors").stat().st_size < (adapted / WEIGHTS).stat().st_size / 2
    expected = layers(adapted)
    assert same(layers("lora.safetensors"), expected)  # its base is where it was
    pack_model(load_path(base), "elsewhere", dtype="fp32")  # other bytes, the same weights
    shutil.move(base, "moved")
    assert same(layers("lora.safetensors@elsewhere"), expected) and same(layers("lora.safetensors@moved"), expected)
    with pytest.raises(UserError, match=r"lora.safetensors: its base exp/base cannot be had .*safetensors@<model>"):
        layers("lora.safetensors")


def test_it_names_no_path_of_the_machine(base):
    adapted = write_adapted(base.absolute(), Path("exp/lora"))
    run_program("ssl_save_adapter", "--model", adapted, "--output", "out/lora.safetensors")
    assert str(base.absolute().parent).encode() not in Path("out/lora.safetensors").read_bytes()
    assert same(layers("out/lora.safetensors@exp/base"), layers(adapted))


def test_statistics_of_batch_norm_go_with_it():
    conf = {"encoder": "conformer", "encoder_conf": {"conv_norm": "batch"}}
    base = write_experiment(Path("exp/base"), **conf)
    config = tiny_config(**conf)
    adapted = write_adapted(base, Path("exp/lora"), encoder="conformer", encoder_conf=config.encoder_conf)
    weights = load_file(adapted / WEIGHTS)
    moved = {name: value + 0.5 if "running" in name else value for name, value in weights.items()}
    save_file(moved, adapted / WEIGHTS)
    run_program("ssl_save_adapter", "--model", adapted, "--output", "lora.safetensors")
    assert any("running_mean" in name for name in load_file("lora.safetensors"))
    assert same(layers("lora.safetensors"), layers(adapted))


def change_base(base: Path, name: str = "encoder.blocks.0.ffn_in.weight") -> None:
    weights = load_file(base / WEIGHTS)
    weights[name] = weights[name] + 1e-3
    save_file(weights, base / WEIGHTS)


def test_a_base_that_changed_is_one_message(base, adapted):
    run_program("ssl_save_adapter", "--model", adapted, "--output", "lora.safetensors")
    layers("lora.safetensors")  # it is in the cache now
    before = encoding_hash(read_weights(base / WEIGHTS))
    change_base(base)
    with pytest.raises(UserError, match=f"was trained on exp/base with hash {before}, but exp/base has .*base changed"):
        layers("lora.safetensors")
    with pytest.raises(UserError, match=r"ffn_in.weight is another than there: the base changed since the training"):
        run_program("ssl_save_adapter", "--model", adapted, "--output", "again.safetensors")
    assert not Path("again.safetensors").exists()


def test_heads_of_the_base_do_not_matter(base, adapted):
    run_program("ssl_save_adapter", "--model", adapted, "--output", "lora.safetensors")
    expected = layers("lora.safetensors")
    change_base(base, "objectives.hubert.mask_embedding")
    assert same(layers("lora.safetensors"), expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "exp/base", "--output", "x.safetensors"], "exp/base: was not trained with adapt: lora"),
        (["--model", "exp/lora", "--output", "x.pt"], "--output x.pt: expected a name that ends in .safetensors"),
        (["--model", "exp/lora", "--checkpoint", "ave_2best", "--output", "x.safetensors"], "there are no adapters"),
    ],
)
def test_what_has_no_adapters_is_refused(base, adapted, words, message):
    average = adapted / "checkpoints/ave_2best/model.safetensors"
    average.parent.mkdir()
    shutil.copy(base / WEIGHTS, average)
    with pytest.raises(UserError, match=message):
        run_program("ssl_save_adapter", *words)
    assert not list(Path().glob("x.*"))


def test_files_that_are_no_adapters_are_said(base):
    assert same(layers(base / WEIGHTS), layers(base))  # weights themselves: still a model
    with pytest.raises(UserError, match=r"exp/gone.safetensors: no such file"):
        layers("exp/gone.safetensors@exp/base")
    with pytest.raises(UserError, match="holds no adapters that ssl_save_adapter or ssl_finetune wrote"):
        layers(f"{base / WEIGHTS}@exp/base")
    Path("cut.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(UserError, match=r"holds no adapters .*or is damaged"):
        layers("cut.safetensors@exp/base")
