"""Files of fairseq2 in; numbers, round trips, and what they cannot tell out. Models of NeMo and others: refusals."""

import io
import tarfile

import pytest
import torch
import yaml
from export_cases import LARGE, same_weights, write_random
from safetensors.torch import save_file
from trained import load_path

from espnet2.formats.foreign import guess_origin, import_foreign, import_model
from espnet2.models.locate import locate_model
from espnet2.publish.convert import export_model
from espnet2.utils.errors import UserError

WEIGHTS = "checkpoints/latest/model.safetensors"


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A wav2vec 2.0 of pre-LN blocks as fairseq2 has it: model.pt and model.yaml."""
    folder = tmp_path_factory.mktemp("fairseq2")
    experiment = write_random(folder / "exp", "wav2vec2", **LARGE)
    assert export_model(load_path(experiment), "fairseq2", folder / "out")["weights_left_out"] == []
    return folder / "out"


@pytest.mark.parametrize("options", [{}, LARGE])
def test_there_and_back_to_the_last_bit(tmp_path, options):
    experiment = write_random(tmp_path / "exp", "wav2vec2", **options)
    assert export_model(load_path(experiment), "fairseq2", tmp_path / "out")["largest_difference"] < 1e-5
    for path in (tmp_path / "out", tmp_path / "out/model.pt"):
        assert guess_origin(path) == "fairseq2"
    back = import_foreign(tmp_path / "out/model.pt", tmp_path / "back")
    assert back["largest_difference"] < 1e-5 and not back["weights_left_out"] + back["weights_new_and_random"]
    _, other = same_weights(experiment / WEIGHTS, tmp_path / "back/model.safetensors")
    assert not other


def test_a_training_of_fairseq2_has_its_card_above_the_weights(tmp_path, exported):
    parts = tmp_path / "checkpoints/step_100/model/pp_00/tp_00"
    parts.mkdir(parents=True)
    state = torch.load(exported / "model.pt")["model"]
    torch.save({f"module.{name}": value for name, value in state.items()}, parts / "sdp_00.pt")
    card = yaml.safe_load((exported / "model.yaml").read_text())
    card["model_config"] = {"_set_": card["model_config"]}
    (tmp_path / "checkpoints/model.yaml").write_text(yaml.safe_dump(card))
    assert import_model(parts / "sdp_00.pt", "fairseq2", tmp_path / "ours")["largest_difference"] < 1e-5


def test_a_recogniser_keeps_its_encoder(tmp_path, exported):
    state = torch.load(exported / "model.pt")["model"]
    state = {name: value for name, value in state.items() if not name.startswith(("quantizer.", "final_target"))}
    torch.save({"model": state | {"final_proj.weight": torch.zeros(9, 16)}}, tmp_path / "model.pt")
    (tmp_path / "model.yaml").write_bytes((exported / "model.yaml").read_bytes())
    card = import_model(tmp_path / "model.pt", "fairseq2", tmp_path / "ours")
    assert card["weights_left_out"] == ["final_proj.bias", "final_proj.weight"] and card["largest_difference"] < 1e-5


@pytest.mark.parametrize(
    ("gone", "more", "message"),
    [
        (
            "model.yaml",
            None,
            r"heads is not known for the width 16 \(it is for 768, 1024, 1280, 2048\); put the model.yaml",
        ),
        ("encoder.layers.1.", None, r"the weight encoder\.blocks\.1\..* is not in there"),
        (
            "encoder.layers.0.self_attn.q_proj",
            None,
            r"the weight 'encoder\.layers\.0\.self_attn\.q_proj\.weight' is not",
        ),
        ("encoder.layer_norm", None, "not exactly one of encoder.layer_norm.weight and encoder_frontend.layer_norm"),
        ("encoder_frontend.feature_extractor.", None, "with mel or text as its input"),
        ("encoder_frontend.model_dim_proj", None, "no projection between convolutions and blocks"),
        ("encoder_frontend.", None, r"no speech encoder of fairseq2; expected weights named encoder_frontend\.\*"),
        (None, "encoder.layers.0.ffn1.inner_proj.weight", "with conformer blocks"),
        (None, "encoder_frontend.pos_encoder.layers.0.conv.weight", "a stack of positions"),
    ],
)
def test_files_that_have_no_form_are_one_message(tmp_path, exported, gone, more, message):
    state = torch.load(exported / "model.pt")["model"]
    state = {name: value for name, value in state.items() if not gone or not name.startswith(gone)}
    if gone == "encoder.layers.1.":
        state["encoder.layers.2.self_attn.q_proj.weight"] = torch.zeros(16, 16)
    torch.save({"model": state | ({more: torch.zeros(3)} if more else {})}, tmp_path / "model.pt")
    if gone != "model.yaml":
        (tmp_path / "model.yaml").write_bytes((exported / "model.yaml").read_bytes())
    with pytest.raises(UserError, match=message):
        import_model(tmp_path / "model.pt", "fairseq2", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_cards_that_are_damaged_or_of_another_model(tmp_path, exported):
    (tmp_path / "model.pt").write_bytes((exported / "model.pt").read_bytes())
    card = yaml.safe_load((exported / "model.yaml").read_text())
    encoder = card["model_config"]["encoder_config"]
    one = {"model_config": {"encoder_config": encoder | {"feature_extractor_layer_descs": [[8, 10, 5]]}}}
    for text, message in (
        ("a: [", "not plain YAML"),
        ("- 1", "expected 'key: value' lines"),
        ("model_config: {encoder_config: {num_encoder_attn_heads: many}}", "num_encoder_attn_heads is many; expected"),
        (yaml.safe_dump(one), "the strides of its .* convolutions are not known"),
    ):
        (tmp_path / "model.yaml").write_text(text)
        with pytest.raises(UserError, match=message):
            import_model(tmp_path / "model.pt", "fairseq2", tmp_path / "ours")


def test_models_of_other_methods_do_not_load_there(tmp_path):
    for objective, message in (("hubert", "loss: hubert has no form in fairseq2, whose"), ("wavlm", "gated_relative")):
        with pytest.raises(UserError, match=message):
            export_model(load_path(write_random(tmp_path / objective, objective)), "fairseq2", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nemo_is_refused_by_the_name_of_its_class(tmp_path):
    config = b"target: nemo.collections.asr.models.ssl_models.EncDecDenoiseMaskedTokenPredModel\nsample_rate: 16000\n"
    file = tmp_path / "nest.nemo"
    with tarfile.open(file, "w:gz") as archive:
        member = tarfile.TarInfo("./model_config.yaml")
        member.size = len(config)
        archive.addfile(member, io.BytesIO(config))
    calls = (
        lambda: locate_model(file),
        lambda: import_model(file, "huggingface", tmp_path / "ours"),
        lambda: import_model(file, "fairseq", tmp_path / "ours"),
    )
    for call in calls:
        with pytest.raises(
            UserError, match="EncDecDenoiseMaskedTokenPredModel, a model of NeMo, has no form here: its Fast"
        ):
            call()
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UserError, match=r"a \.nemo file, a model of NeMo"):
        locate_model(file)


def test_speechbrain_and_wenet_are_refused_by_name(tmp_path):
    folder = tmp_path / "speechbrain"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text("a: 1\n")
    with pytest.raises(UserError, match="a model of SpeechBrain has no form here"):
        import_model(folder, "huggingface", tmp_path / "ours")
    state = {"encoder_top_n_out": torch.zeros(1, 2, 3), "encoder.after_norm.weight": torch.zeros(2)}
    save_file(state, tmp_path / "wenet.safetensors")
    torch.save(state, tmp_path / "wenet.pt")
    torch.save({"model": state}, tmp_path / "step.pt")
    for name in ("wenet.safetensors", "wenet.pt", "step.pt"):
        with pytest.raises(UserError, match="a model of WeNet"):
            import_foreign(tmp_path / name, tmp_path / "ours")
