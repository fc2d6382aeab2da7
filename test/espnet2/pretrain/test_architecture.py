"""Trainings that start from another model: its architecture and weights are taken over, other settings are refused."""

from pathlib import Path

import pytest
import torch
from tiny_model import FRONTENDS, TINY_CONF, tiny_model
from tiny_units import run_program, write_experiment
from trained import load_path

from espnet2.models.find import find_model
from espnet2.pretrain.architecture import load_training_config
from espnet2.pretrain.initial import load_whole
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config
from espnet2.units.source import make_extractor, resolve_source
from espnet2.utils.errors import UserError

PLAIN = {"loss": "[{name: hubert, conf: {num_classes: 7}}]"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_config(folder: Path, **lines: str) -> Path:
    path = folder / "train.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in (PLAIN | lines).items()))
    return path


def transformers_model(folder: Path) -> Path:
    """A tiny HuBERT as transformers saves it."""
    transformers = pytest.importorskip("transformers")
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    torch.manual_seed(1)
    transformers.HubertModel(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


def test_a_section_that_is_none_is_named(tmp_path):
    source = write_experiment(tmp_path / "exp", frontend="conv")
    with pytest.raises(UserError, match=r"train.yaml: encoder_conf: 12; expected a section of 'key: value' lines"):
        load_training_config(write_config(tmp_path, encoder_conf="12"), ["--init_from", str(source)])


def test_architecture_and_weights_come_from_the_model(tmp_path):
    source = write_experiment(tmp_path / "exp", frontend="conv", encoder_conf={"norm": "pre", "dropout": 0.3}, seed=5)
    config = load_training_config(write_config(tmp_path), ["--init_from", str(source)])
    assert (config.encoder_conf.norm, config.encoder_conf.dim) == ("pre", 16)
    assert config.frontend_conf.channels == FRONTENDS["conv"]["channels"]
    assert config.encoder_conf.dropout == 0.1  # how it is trained is the new config's own
    model = build(config)
    copied = load_whole(model, find_model(config.init_from))
    theirs = load_path(source).model.state_dict()
    assert copied == set(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())
    load_config(write_config(tmp_path), ["--init_from", "gone"])  # a finished experiment's config needs no source


def test_another_method_takes_what_encodes(tmp_path):
    source = write_experiment(tmp_path / "exp", "hubert", seed=5)
    conf = TINY_CONF["dinosr"]
    path = write_config(tmp_path, loss=f"[{{name: dinosr, conf: {conf}}}]", init_from=source)
    model = build(load_training_config(path))
    copied = load_whole(model, find_model(source))
    theirs = load_path(source).model
    assert copied >= {f"encoder.{name}" for name in theirs.encoder.state_dict()}
    assert not any(name.startswith("objectives.dinosr.teacher") for name in copied)
    model.weights_loaded(copied)
    for name, value in theirs.encoder.state_dict().items():
        assert torch.equal(model.first.teacher.encoder.state_dict()[name], value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"encoder_conf": "{dim: 32}"}, "encoder_conf: dim: 32, there 16"),
        ({"frontend": "conv"}, "frontend: conv, there fbank"),
        ({"frontend_conf": "{num_mels: 40}", "frontend": "fbank"}, "frontend_conf: num_mels: 40, there 20"),
        ({"encoder": "conformer"}, "encoder: conformer, there transformer"),
    ],
)
def test_other_settings_are_refused(tmp_path, lines, message):
    source = write_experiment(tmp_path / "exp")
    path = write_config(tmp_path, init_from=source, **lines)
    with pytest.raises(UserError, match="leave these keys out") as error:
        load_training_config(path)
    assert message in str(error.value)
    with pytest.raises(UserError, match="no trained model there"):
        load_training_config(write_config(tmp_path), ["--init_from", str(tmp_path / "none")])


def test_weights_that_do_not_fit_are_named(tmp_path):
    source = write_experiment(tmp_path / "exp")
    with pytest.raises(UserError, match=r"init_from .*encoder.* has shape .* there"):
        load_whole(tiny_model(encoder_conf={"ffn_dim": 48}), find_model(source))


def test_a_model_of_transformers_is_a_start_and_a_teacher(tmp_path, cache):
    folder = transformers_model(tmp_path / "hubert")
    config = load_training_config(write_config(tmp_path, init_from=folder))
    assert (config.encoder_conf.position_kernel, config.frontend_conf.channels) == (8, 8)
    model = build(config)
    assert {f"encoder.{name}" for name in model.encoder.state_dict()} <= load_whole(model, find_model(folder))
    source = resolve_source("espnet_hubert", 2, str(folder))
    wav = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    (features,) = make_extractor(source, 16000).extract([wav])
    import transformers

    other = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = other(wav[None], output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(features[0], hidden[0], rtol=1e-4, atol=1e-4)
    assert len(list((cache / "imported").iterdir())) == 1  # converted once
    assert resolve_source("espnet_hubert", 2, f"huggingface:{folder}").teacher_hash == source.teacher_hash
    with pytest.raises(UserError, match="no such file or folder"):
        resolve_source("espnet_hubert", 2, f"fairseq:{tmp_path}/none.pt")


def test_a_changed_teacher_is_refused(tmp_path):
    from tiny_packed import write_kmeans

    from espnet2.units.card import check_teacher, require_card

    folder = transformers_model(tmp_path / "hubert")
    kmeans = write_kmeans(tmp_path / "km", folder)
    current = resolve_source("espnet_hubert", 2, str(folder))
    check_teacher(kmeans, require_card(kmeans), current)
    other = write_experiment(tmp_path / "exp")
    with pytest.raises(UserError, match="labels of both do not mix"):
        check_teacher(kmeans, require_card(kmeans), resolve_source("espnet_hubert", 2, str(other)))


def test_training_starts_from_a_model(tmp_path):
    """The program takes the option like any key of the config."""
    source = write_experiment(tmp_path / "exp")
    words = ["--config", write_config(tmp_path), "--init_from", source, "--print_config"]
    assert run_program("ssl_train", *words) == 0
