"""Models of ESPnet's own ssl1 in; the numbers that its release 202511 gives, or every key in the way, out."""

import pytest
import torch
import yaml
from espnet_weights import CASES, DIM, LAYERS, ssl1_config, ssl1_state, write_ssl1
from export_cases import write_random
from trained import load_path

from espnet2.formats.foreign import guess_origin, import_model
from espnet2.models.find import find_model
from espnet2.pretrain.architecture import load_training_config
from espnet2.pretrain.initial import load_whole
from espnet2.publish.convert import export_model
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.tasks.build import build
from espnet2.utils.errors import UserError

# ESPnetSSLModel.inference_encode of release 202511, run once: frame 5, four values of its output, and of layer 1.
EXPECTED = {
    "post": ([0.92237, -1.52242, 0.82426, -0.11912], [-1.43323, -0.54901, -3.17352, -0.38398]),
    "pre": ([-2.06571, -0.19876, -0.04837, -1.5541], [-0.1398, 6.30532, 3.59857, -2.22922]),
    "bare": ([-0.3875, -0.22278, 1.00989, 0.64094], [1.21903, 2.22856, 5.55976, 3.20829]),
    "xeus": ([0.75782, -2.46425, 0.5378, 0.96915], [0.30811, -1.10961, 1.27302, -0.32813]),
    "e_branchformer": ([-1.53692, -1.79388, -0.57858, -0.71877], [-0.29501, 2.62122, -2.76818, -0.67344]),
    "conformer": ([-0.63284, -0.87946, -0.35487, 0.3568], [2.30225, 1.98612, 1.79209, 1.3716]),
    "conformer_conv": ([-2.6767, -0.58251, 1.69948, -0.08142], [-0.83918, 0.11513, 1.77194, -0.42318]),
}
HEAD = [f"losses.0.decoder.{name}.{kind}" for name in ("final_proj", "label_embeddings") for kind in ("bias", "weight")]
COUNTERS = [f"encoder.encoders.{number}.conv_module.norm.num_batches_tracked" for number in range(LAYERS)]
NEW = ["label_embeddings", "projection.bias", "projection.weight"]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))


def sound() -> torch.Tensor:
    return 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_are_espnets(tmp_path, case):
    card = import_model(write_ssl1(tmp_path / "exp", case), "espnet", tmp_path / "out")
    assert card["largest_difference"] < 2e-5 and card["layers_compared"] == [0, 1, 2, "last"]
    left = ["global_step", *HEAD, *(COUNTERS if case.startswith("conformer") else [])]
    assert card["weights_left_out"] == sorted(left)
    assert card["weights_new_and_random"] == [f"objectives.hubert.head.{name}" for name in NEW]
    wav = sound()
    if card["waveform_normalisation"].startswith("every utterance"):
        wav = torch.nn.functional.layer_norm(wav, wav.shape)
    encoder = load_path(tmp_path / "out").model
    with torch.no_grad():
        hidden = encoder.encoder(encoder.frontend(wav[None], None).projected, None, layers=[1, LAYERS])
    for hidden_layer, expected in zip((hidden.last, hidden.layers[1]), EXPECTED[case], strict=True):
        torch.testing.assert_close(hidden_layer[0, 5, :4], torch.tensor(expected), atol=5e-5, rtol=1e-4)


def test_layer_numbers_and_the_norm_after_the_last(tmp_path):
    import_model(write_ssl1(tmp_path / "exp", "xeus"), "espnet", tmp_path / "out")
    model = load_path(tmp_path / "out").model
    with torch.no_grad():
        hidden = model.encoder(model.frontend(sound()[None], None).projected, None, layers=[LAYERS])
    last = torch.nn.functional.layer_norm(
        hidden.layers[LAYERS],
        (DIM,),
        *(ssl1_state("xeus")[f"encoder.after_norm.{name}"] for name in ("weight", "bias")),
    )
    torch.testing.assert_close(hidden.last, last)
    assert not torch.allclose(hidden.last, hidden.layers[LAYERS], atol=0.1)


def test_the_mask_vector_comes_along(tmp_path):
    """Where frames are scaled before relative positions, it is, too."""
    for case, factor in (("post", 1.0), ("e_branchformer", DIM**0.5)):
        import_model(write_ssl1(tmp_path / case, case), "espnet", tmp_path / f"{case}_out")
        mask_embedding = load_path(tmp_path / f"{case}_out").model.first.mask_embedding
        torch.testing.assert_close(mask_embedding, ssl1_state(case)["util_modules.mask.mask_embedding"] * factor)


def test_the_file_alone_says_whose_it_is(tmp_path):
    """XEUS lies as model/xeus_checkpoint_new.pth beside model/config.yaml."""
    file = write_ssl1(tmp_path / "model", "xeus", name="xeus_checkpoint_new.pth")
    assert guess_origin(file) == "espnet"
    expected = SpeechEncoder.from_pretrained(f"espnet:{file}")(sound()[None], torch.tensor([4000]), sample_rate=16000)
    output = SpeechEncoder.from_pretrained(file)(sound()[None], torch.tensor([4000]), sample_rate=16000)
    assert len(output.layers) == LAYERS + 1 and torch.equal(output.layers[LAYERS], expected.layers[LAYERS])


def test_another_config_beside_it_imports_again(tmp_path):
    file = write_ssl1(tmp_path / "model", "post")
    one = SpeechEncoder.from_pretrained(f"espnet:{file}")(sound()[None], torch.tensor([4000]), sample_rate=16000)
    write_ssl1(tmp_path / "model", "post", encoder_conf={"attention_heads": 4})
    other = SpeechEncoder.from_pretrained(f"espnet:{file}")(sound()[None], torch.tensor([4000]), sample_rate=16000)
    assert torch.equal(one.layers[0], other.layers[0]) and not torch.allclose(one.layers[1], other.layers[1], atol=1e-3)


def test_a_whole_checkpoint_and_weight_norm_of_old_torch(tmp_path):
    state = ssl1_state("post")
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        prefix = "encoder.embed.0.convs.0."
        state[prefix + old] = state.pop(f"{prefix}parametrizations.weight.{new}")
    write_ssl1(tmp_path / "exp", "post")
    (tmp_path / "exp/valid.loss.best.pth").unlink()
    torch.save({"model": state, "optimizers": [{}], "reporter": {}, "scaler": None}, tmp_path / "exp/checkpoint.pth")
    assert guess_origin(tmp_path / "exp/checkpoint.pth") == "espnet"
    assert import_model(tmp_path / "exp", "espnet", tmp_path / "out")["largest_difference"] < 2e-5


def test_training_starts_from_it(tmp_path):
    """Architecture and encoder come from the file, how it is trained from the new config."""
    file = write_ssl1(tmp_path / "exp", "post")
    path = tmp_path / "train.yaml"
    path.write_text("loss: [{name: hubert, conf: {num_classes: 7}}]\n")
    config = load_training_config(path, ["--init_from", f"espnet:{file}"])
    assert config.encoder_conf.position_join == "replace" and config.encoder_conf.norm_eps == 1e-12
    assert config.encoder_conf.outer_norms == "none" and config.encoder_conf.activation == "relu"
    assert config.frontend_conf.projection_norm is False and config.frontend_conf.feature_grad_mult == 0.1
    model = build(config)
    copied = load_whole(model, find_model(config.init_from))
    assert {name for name in model.state_dict() if not name.startswith("objectives.")} <= copied
    torch.testing.assert_close(
        model.frontend.projection.weight, ssl1_state("post")["preencoder.linear_out.weight"], atol=0, rtol=0
    )


REFUSED = [
    ("post", {"frontend": "default", "frontend_conf": None}, ["frontend: default (expected wav2vec_cnn)"]),
    ("post", {"normalize": "utterance_mvn"}, ["normalize: utterance_mvn"]),
    ("post", {"preencoder": None}, ["preencoder: None (expected linear)"]),
    ("post", {"preencoder_conf": {"output_size": 8}}, ["preencoder_conf.output_size: 8 (expected the encoder's, 32)"]),
    ("post", {"input_size": 80}, ["input_size: 80"]),
    ("post", {"frontend_conf": {"conv_mode": "depth_sep"}}, ["frontend_conf.conv_mode: depth_sep"]),
    (
        "post",
        {"encoder": "branchformer"},
        ["encoder: branchformer (expected transformer or e_branchformer or conformer)"],
    ),
    (
        "post",
        {"encoder_conf": {"qk_norm": True, "concat_after": True, "positionwise_layer_type": "conv1d"}},
        ["qk_norm: True", "concat_after: True", "positionwise_layer_type: conv1d"],
    ),
    ("post", {"encoder_conf": {"input_layer": "conv2d"}}, ["input_layer: conv2d (expected wav2vec or None)"]),
    ("post", {"encoder_conf": {"pos_enc_layer_type": "abs_pos"}}, ["pos_enc_layer_type: abs_pos (expected conv)"]),
    (
        "xeus",
        {"encoder_conf": {"gate_activation": "tanh", "use_linear_after_conv": True, "use_ffn": False}},
        ["gate_activation: tanh", "use_linear_after_conv: True", "use_ffn: False (expected True)"],
    ),
    ("xeus", {"encoder_conf": {"ffn_activation_type": "relu"}}, ["ffn_activation_type: relu (expected swish)"]),
    (
        "xeus",
        {"encoder_conf": {"pos_enc_layer_type": "abs_pos", "attention_layer_type": "fast_selfattn"}},
        ["attention_layer_type: fast_selfattn with pos_enc_layer_type: abs_pos"],
    ),
    (
        "e_branchformer",
        {"encoder_conf": {"rel_pos_type": "legacy"}},
        ["rel_pos_type: legacy (expected selfattn with conv"],
    ),
    ("e_branchformer", {"encoder_conf": {"zero_triu": True}}, ["zero_triu: True"]),
    ("conformer", {"encoder_conf": {"rel_pos_type": "legacy", "use_cnn_module": False}}, ["legacy", "use_cnn_module"]),
    ("conformer", {"encoder_conf": {"normalize_before": False}}, ["normalize_before: False (expected True)"]),
]


@pytest.mark.parametrize(("case", "changes", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_every_key_without_a_form_is_named(tmp_path, case, changes, said):
    file = write_ssl1(tmp_path / "exp", case, **changes)
    with pytest.raises(UserError, match="this model of ESPnet's ssl1 has no form here: ") as refusal:
        import_model(file, "espnet", tmp_path / "out")
    assert all(text in str(refusal.value) for text in said), refusal.value
    assert not (tmp_path / "out").exists()


def test_weights_without_a_place_are_never_dropped(tmp_path):
    file = write_ssl1(tmp_path / "exp", "post")
    state = ssl1_state("post")
    torch.save(state | {"encoder.conditioning_layer.weight": torch.ones(2, 2)}, file)
    with pytest.raises(UserError, match=r"no form here for the weights encoder\.conditioning_layer\.weight$"):
        import_model(file, "espnet", tmp_path / "out")
    torch.save({name: value for name, value in state.items() if "embed" not in name}, file)
    with pytest.raises(UserError, match=r"encoder\.embed\.0\.convs\.0 has no weight norm"):
        import_model(file, "espnet", tmp_path / "out")
    torch.save({name: value for name, value in state.items() if "norm2.bias" not in name}, file)
    with pytest.raises(UserError, match=r"encoder\.blocks\.0\.ffn_norm\.bias is not in there"):
        import_model(file, "espnet", tmp_path / "out")


def test_a_config_that_says_too_little_is_named(tmp_path):
    file = write_ssl1(tmp_path / "exp", "post")
    config = ssl1_config("post")
    del config["frontend_conf"]["norm_mode"], config["frontend_conf"]["bias"]
    (tmp_path / "exp/config.yaml").write_text(yaml.safe_dump(config | {"preencoder_conf": {}}))
    with pytest.raises(UserError, match=r"does not say preencoder_conf\.output_size, frontend_conf\.norm_mode, front"):
        import_model(file, "espnet", tmp_path / "out")
    (tmp_path / "exp/config.yaml").write_text(yaml.safe_dump(config | {"encoder_conf": ["many"]}))
    with pytest.raises(UserError, match=r"encoder_conf is .*many.*; expected 'key: value' lines"):
        import_model(file, "espnet", tmp_path / "out")
    config = ssl1_config("post")
    config["frontend_conf"]["shapes"] = [[512, 10]]
    (tmp_path / "exp/config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"shapes is \[\[512, 10\]\]; expected \[channels, kernel, stride\] of each"):
        import_model(file, "espnet", tmp_path / "out")


def test_other_libraries_refuse_it_by_name(tmp_path):
    import_model(write_ssl1(tmp_path / "exp", "post"), "espnet", tmp_path / "out")
    said = (
        "frontend_conf: projection_norm: false; encoder_conf: position_join: replace; encoder_conf: outer_norms: none; "
        "encoder_conf: activation: relu; encoder_conf: norm_eps: 1e-12"
    )
    for library in ("huggingface", "torchaudio", "fairseq", "s3prl"):
        with pytest.raises(UserError, match=f"this architecture has no form in .*: {said}$"):
            export_model(load_path(tmp_path / "out"), library, tmp_path / "no")
    assert export_model(load_path(tmp_path / "out"), "safetensors", tmp_path / "own")["largest_difference"] == 0


def test_the_epsilon_of_espnet_has_no_form_elsewhere(tmp_path, monkeypatch):
    import tiny_model

    conf = {"conv_norm": "batch", "conv_bias": False, "attention_position": "relative", "position": "none"}
    parts = {"encoder": "conformer", "encoder_conf": conf | {"final_norm": True, "norm_eps": 1e-12}}
    monkeypatch.setitem(tiny_model.TINY_PARTS, "wav2vec2", parts)
    with pytest.raises(UserError, match=r"no form in .*: encoder_conf: norm_eps: 1e-12$"):
        export_model(load_path(write_random(tmp_path / "exp", "wav2vec2")), "huggingface", tmp_path / "out")
