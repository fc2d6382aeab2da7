"""Families of transformers beyond wav2vec 2.0's body in; the same numbers, round trips, and reasons of refusals out."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_model import mean_loss, noise_batch
from trained import load_path

from espnet2.formats.foreign import import_model
from espnet2.models.find import find_model
from espnet2.pretrain.architecture import load_training_config
from espnet2.pretrain.initial import load_whole
from espnet2.publish.convert import export_model
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config
from espnet2.utils.errors import UserError

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
WAVES = {"conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
BERT = {**TINY, "left_max_position_embeddings": 5, "right_max_position_embeddings": 3}
CONFORMER = {**TINY, **WAVES, "hidden_act": "swish", "feat_extract_norm": "layer"}
EXTRACTOR = {"feature_extractor_type": "SeamlessM4TFeatureExtractor", "num_mel_bins": 80, "stride": 2}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def write_theirs(folder: Path, kind: str, extractor: dict | None = None, **options: object) -> Path:
    """A folder of transformers whose weights are no special values, norms and running statistics among them."""
    torch.manual_seed(0)
    model_class = getattr(transformers, kind)
    model = model_class(model_class.config_class(**options)).eval()
    with torch.no_grad():
        for value in model.parameters():
            value += 0.05 * torch.randn_like(value)
        for name, value in model.named_buffers():
            if "running" in name:
                value += 0.1 * torch.rand_like(value)
    model.save_pretrained(folder)
    if extractor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return folder


def w2v_bert(folder: Path, **options: object) -> Path:
    extractor = {**EXTRACTOR, "feature_size": 80, "padding_value": 1, "sampling_rate": 16000}
    return write_theirs(folder, "Wav2Vec2BertModel", extractor, **{**BERT, **options})


def there_and_back(theirs: Path, tmp_path: Path) -> dict[str, torch.Tensor]:
    """Import, export, import again: the second import has the bits of the first; the weights that came back."""
    assert import_model(theirs, "huggingface", tmp_path / "ours")["largest_difference"] < 1e-4
    card = export_model(load_path(tmp_path / "ours"), "huggingface", tmp_path / "out")
    assert card["largest_difference"] < 1e-4
    import_model(tmp_path / "out", "huggingface", tmp_path / "again")
    ours, again = (load_file(tmp_path / name / "model.safetensors") for name in ("ours", "again"))
    assert all(torch.equal(value, again[name]) for name, value in ours.items() if not name.startswith("objectives."))
    return load_file(tmp_path / "out/model.safetensors")


@pytest.mark.parametrize("position", ["relative_key", "relative", "rotary", None])
def test_w2v_bert_2_there_and_back_to_the_last_bit(tmp_path, position):
    theirs = w2v_bert(tmp_path / "hf", position_embeddings_type=position)
    back, expected = there_and_back(theirs, tmp_path), load_file(theirs / "model.safetensors")
    assert back.keys() == expected.keys() and all(torch.equal(back[name], value) for name, value in expected.items())
    config = load_config(tmp_path / "ours/config.yaml")
    assert config.encoder_conf.conv_causal and config.frontend_conf.sample_scale == "int16"
    card = json.loads((tmp_path / "ours/conversion.json").read_text())
    assert card["objective"] == "w2v_bert" and card["layers_compared"] == [0, 1, "last"]
    assert card["weights_left_out"] == [] and card["frame_rate"] == 50


def test_a_training_goes_on_from_w2v_bert_2(tmp_path, monkeypatch):
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))
    theirs = w2v_bert(tmp_path / "hf")
    (tmp_path / "train.yaml").write_text("loss: [{name: hubert, conf: {num_classes: 7}}]\n")
    config = load_training_config(tmp_path / "train.yaml", ["--init_from", str(theirs)])
    assert (config.frontend, config.encoder_conf.attention_position) == ("fbank", "relative_key")
    model = build(config).train()
    copied = load_whole(model, find_model(config.init_from))
    assert {name for name in model.state_dict() if not name.startswith("objectives.")} <= copied
    mean_loss(model, noise_batch(model, (16000, 12000))).backward()
    gradients = {name: parameter.grad for name, parameter in model.encoder.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert gradients["blocks.0.attention.position.table"].abs().max() > 0


def test_the_adapter_is_left_aside_and_said(tmp_path, capsys):
    theirs = w2v_bert(tmp_path / "hf", add_adapter=True, use_intermediate_ffn_before_adapter=True)
    card = import_model(theirs, "huggingface", tmp_path / "ours")
    assert card["largest_difference"] < 1e-4 and len(card["weights_left_out"]) > 10
    assert all(name.startswith(("adapter.", "intermediate_ffn.")) for name in card["weights_left_out"])
    assert "the adapter behind the encoder" in capsys.readouterr().err


def test_w2v_bert_2_under_a_recogniser_without_extractor_and_with_one_block(tmp_path, capsys):
    theirs = write_theirs(
        tmp_path / "hf", "Wav2Vec2BertForCTC", None, **BERT | {"num_hidden_layers": 1}, vocab_size=9, mask_time_prob=0.0
    )
    card = import_model(theirs, "huggingface", tmp_path / "ours")
    assert card["largest_difference"] < 1e-4 and card["weights_left_out"] == ["lm_head.bias", "lm_head.weight"]
    assert "assumed 80 mel bins and 2 frames side by side" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "extractor", "message"),
    [
        (
            {"position_embeddings_type": "absolute"},
            {},
            "position_embeddings_type absolute has no form here; expected one",
        ),
        ({"hidden_act": "relu"}, {}, "no form here for hidden_act: relu"),
        ({"rotary_embedding_base": 500}, {}, "rotary_embedding_base: 500"),
        ({"conv_depthwise_kernel_size": 30}, {}, "conv_kernel is 30; expected an odd number"),
        ({"num_hidden_layers": 3}, {}, r"blocks\.2\..* is not in there"),
        ({"num_hidden_layers": 1}, {}, r"blocks\.1\..* has no place"),
        ({"left_max_position_embeddings": 9}, {}, "size mismatch for encoder"),
        ({"feature_projection_input_dim": 80}, {}, "80 mel bins of 2 frames are 160 values, but .* 80"),
        ({}, {"sampling_rate": 8000}, "sampling_rate 8000 has no form here; expected 16000"),
        ({}, {"num_mel_bins": 40}, "40 mel bins of 2 frames are 80 values"),
        (
            {},
            {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
            "Wav2Vec2FeatureExtractor, but w2v-BERT 2.0 reads",
        ),
        ({}, {"num_mel_bins": "many"}, "num_mel_bins is many; expected a whole number"),
    ],
)
def test_folders_of_w2v_bert_2_that_do_not_fit(tmp_path, config, extractor, message):
    theirs = w2v_bert(tmp_path / "hf")
    for name, changes in (("config.json", config), ("preprocessor_config.json", extractor)):
        file = theirs / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(UserError, match=message):
        import_model(theirs, "huggingface", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_half_a_folder_is_one_message(tmp_path):
    theirs = w2v_bert(tmp_path / "hf")
    (theirs / "config.json").rename(tmp_path / "config.json")
    with pytest.raises(UserError, match=r"config\.json"):
        import_model(theirs, "huggingface", tmp_path / "ours")
    (tmp_path / "config.json").rename(theirs / "config.json")
    (theirs / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors and no pytorch_model\.bin"):
        import_model(theirs, "huggingface", tmp_path / "ours")


@pytest.mark.parametrize("position", ["relative", "rotary", None])
def test_conformers_with_a_trained_last_norm(tmp_path, position):
    theirs = write_theirs(
        tmp_path / "hf",
        "Wav2Vec2ConformerModel",
        {"do_normalize": True},
        **CONFORMER,
        position_embeddings_type=position,
    )
    back, expected = there_and_back(theirs, tmp_path), load_file(theirs / "model.safetensors")
    assert load_config(tmp_path / "ours/config.yaml").encoder_conf.final_norm
    unused = {name for name in expected if "pos_conv_embed" in name or name.endswith("num_batches_tracked")}
    assert back.keys() == expected.keys()
    assert all(torch.equal(back[name], value) for name, value in expected.items() if name not in unused)
    if position == "rotary":
        save_file(expected | {"encoder.embed_positions.inv_freq": torch.ones(8)}, theirs / "model.safetensors")
        with pytest.raises(UserError, match=r"rotary frequencies that are not 10000 \*\* \(-2 i / 16\)"):
            import_model(theirs, "huggingface", tmp_path / "no")


def test_a_conformer_with_its_quantizer(tmp_path):
    theirs = write_theirs(
        tmp_path / "hf", "Wav2Vec2ConformerForPreTraining", {"do_normalize": True}, **CONFORMER,
        num_codevectors_per_group=10, num_codevector_groups=2, codevector_dim=16, proj_codevector_dim=12,
    )  # fmt: skip
    card = import_model(theirs, "huggingface", tmp_path / "ours")
    assert card["largest_difference"] < 1e-4 and card["weights_new_and_random"] == []
    conf = next(iter(load_config(tmp_path / "ours/config.yaml").entries().values())).conf
    assert (conf.num_groups, conf.num_codes, conf.code_dim, conf.final_dim) == (2, 10, 16, 12)


def test_positions_of_a_conformer_that_are_not_known(tmp_path):
    theirs = write_theirs(tmp_path / "hf", "Wav2Vec2ConformerModel", {"do_normalize": True}, **CONFORMER)
    config = json.loads((theirs / "config.json").read_text()) | {"position_embeddings_type": "relative_key"}
    (theirs / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="relative_key has no form here; expected one of relative, rotary, null"):
        import_model(theirs, "huggingface", tmp_path / "ours")


@pytest.mark.parametrize(
    ("kind", "options", "objective"),
    [
        ("UniSpeechSatModel", {}, "hubert"),
        ("UniSpeechSatModel", {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}, "hubert"),
        ("UniSpeechModel", {}, "wav2vec2"),
        ("UniSpeechSatForPreTraining", {"num_clusters": 7}, "hubert"),
    ],
)
def test_unispeech_is_the_body_of_wav2vec_2(tmp_path, kind, options, objective):
    theirs = write_theirs(tmp_path / "hf", kind, {"do_normalize": False}, **TINY | WAVES | options)
    card = import_model(theirs, "huggingface", tmp_path / "ours")
    assert card["largest_difference"] < 1e-4 and card["objective"] == objective


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("sew", "SEW pools frames"),
        ("sew-d", "DeBERTa"),
        ("whisper", "recogniser"),
        ("parakeet_encoder", "subsamples by 8"),
        ("bert", "model_type bert has no form here; expected one of hubert"),
        (None, "model_type none has no form here"),
    ],
)
def test_other_families_are_refused_by_name(tmp_path, family, reason):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/config.json").write_text(json.dumps({"model_type": family} if family else {}))
    save_file({"a": torch.zeros(1)}, tmp_path / "hf/model.safetensors")
    with pytest.raises(UserError, match=reason):
        import_model(tmp_path / "hf", "huggingface", tmp_path / "ours")
