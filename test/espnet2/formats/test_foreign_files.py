"""Files of other toolkits, whole, damaged, malicious or of an unknown kind; models or one clear message out."""

import argparse
import os
import pickle

import pytest
import torch
import torchaudio
import yaml
from trained import load_path

from espnet2.formats.fairseq_read import parse_layers
from espnet2.formats.foreign import guess_origin, import_foreign, import_model
from espnet2.formats.safe_pickle import Record, load_foreign, plain
from espnet2.utils.errors import UserError

LAYERS = [[12, 10, 5], *[[12, 3, 2]] * 4, *[[12, 2, 2]] * 2]
SIZES = {
    "extractor_conv_layer_config": LAYERS, "encoder_embed_dim": 16, "encoder_pos_conv_kernel": 8,
    "encoder_pos_conv_groups": 4, "encoder_num_layers": 2, "encoder_num_heads": 2, "encoder_ff_interm_features": 32,
    "num_classes": 7, "final_dim": 8,
}  # fmt: skip
REST = {
    "extractor_mode": "group_norm", "extractor_conv_bias": False, "encoder_projection_dropout": 0.1,
    "encoder_attention_dropout": 0.1, "encoder_ff_interm_dropout": 0.0, "encoder_dropout": 0.1,
    "encoder_layer_norm_first": False, "encoder_layer_drop": 0.05, "mask_prob": 0.8, "mask_selection": "static",
    "mask_other": 0.0, "mask_length": 10, "no_mask_overlap": False, "mask_min_space": 1, "mask_channel_prob": 0.0,
    "mask_channel_selection": "static", "mask_channel_other": 0.0, "mask_channel_length": 10,
    "no_mask_channel_overlap": False, "mask_channel_min_space": 1, "skip_masked": False, "skip_nomask": False,
    "feature_grad_mult": 0.1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Runs:
    """Unpickled by Python, it makes a file."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_pickle_is_run(tmp_path, zipped):
    value = {
        "weights": torch.arange(4.0), "trainable": torch.nn.Parameter(torch.ones(2)), "bad": Runs(tmp_path / "made"),
        "args": argparse.Namespace(layers=3, inner=[argparse.Namespace(deep=True)]), "half": torch.ones(2).bfloat16(),
    }  # fmt: skip
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_foreign(tmp_path / "x.pt")
    assert not (tmp_path / "made").exists()
    assert isinstance(loaded["bad"], Record) and "mkdir" in repr(loaded["bad"])
    assert torch.equal(loaded["weights"], value["weights"]) and torch.equal(loaded["trainable"], torch.ones(2))
    assert loaded["half"].dtype == torch.bfloat16
    assert plain(loaded["args"]) == {"layers": 3, "inner": [{"deep": True}]}
    torch.load(tmp_path / "x.pt", weights_only=False)
    assert (tmp_path / "made").exists(), "the same file does run under Python's own unpickler"


def test_code_hidden_in_a_checkpoint_stays_inert(tmp_path):
    torch.save({"model": {"w": torch.ones(1)}, "cfg": Runs(tmp_path / "made")}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="neither cfg nor args is a mapping"):
        import_model(tmp_path / "x.pt", "fairseq", tmp_path / "out")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Runs(tmp_path / "made")))
    with pytest.raises(UserError, match="cannot be read"):
        load_foreign(tmp_path / "plain.pkl")
    assert not (tmp_path / "made").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_named(tmp_path, share, zipped):
    torch.save({"w": torch.randn(100)}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"x\.pt: cannot be read, is it whole"):
        load_foreign(tmp_path / "x.pt")


@pytest.mark.parametrize("header", [2**62, 2**31, 1000])
def test_a_giant_tensor_header_is_refused(tmp_path, header):
    path = tmp_path / "x.safetensors"
    entry = b'{"w": {"dtype": "F32", "shape": [99999999999], "data_offsets": [0, 4]}}'
    path.write_bytes(header.to_bytes(8, "little") + entry)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_foreign(path)


def test_tensors_beyond_their_storage_are_refused(tmp_path):
    class Beyond:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (torch.ones(2).untyped_storage(), 0, (10**6,), (1,), False, {})

    torch.save({"w": Beyond()}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="cannot be read"):
        load_foreign(tmp_path / "x.pt")


def test_descriptions_of_convolutions_are_not_evaluated(tmp_path):
    assert parse_layers("[(4, 10, 5)] + [(4, 3, 2)] * 2 + [(4,2,2)]", "x") == [(4, 10, 5), *[(4, 3, 2)] * 2, (4, 2, 2)]
    for text in (f"__import__('os').mkdir('{tmp_path}/made')", "[(1,1,1)] * 10**9", "[(1, 2)]", "[", "7", "[]"):
        with pytest.raises(UserError, match="does not describe convolutions"):
            parse_layers(text, "x")
    assert not (tmp_path / "made").exists()


def espnet_model(folder):
    """A .pth of hubert1: torchaudio's model below ESPnet's names, and its config.yaml."""
    torch.manual_seed(0)
    model = torchaudio.models.hubert_pretrain_model(**REST | SIZES)
    state = {f"encoder.hubert_pretrain_model.{name}": value for name, value in model.state_dict().items()}
    folder.mkdir()
    torch.save(state | {"encoder.global_step": torch.zeros(1)}, folder / "valid.loss.best.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump({"encoder": "torchaudio_hubert", "encoder_conf": SIZES}))
    return model.eval()


def test_a_model_of_espnets_hubert1(tmp_path):
    model = espnet_model(tmp_path / "exp")
    card = import_foreign(tmp_path / "exp/valid.loss.best.pth", tmp_path / "out")
    assert card["largest_difference"] < 1e-5 and not card["weights_new_and_random"] and not card["weights_left_out"]
    ours = load_path(tmp_path / "out").model
    wavs = 0.1 * torch.randn(1, 8000)
    with torch.no_grad():
        expected, _ = model.wav2vec2.extract_features(wavs)
    layers, _ = ours.first.extract(wavs, torch.tensor([8000]), [1, 2])
    for one, other in zip(layers, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert torch.equal(ours.first.head.label_embeddings, model.logit_generator.label_embeddings)
    import_model(tmp_path / "exp", "espnet", tmp_path / "from_folder")


def test_what_espnets_file_lacks_is_said(tmp_path):
    espnet_model(tmp_path / "exp")
    (tmp_path / "exp/config.yaml").unlink()
    with pytest.raises(UserError, match=r"config\.yaml: no such file; ESPnet writes it beside"):
        import_model(tmp_path / "exp", "espnet", tmp_path / "out")
    (tmp_path / "asr").mkdir()
    torch.save({"encoder.embed.weight": torch.ones(4)}, tmp_path / "asr/latest.pth")
    (tmp_path / "asr/config.yaml").write_text("encoder: rnn\n")
    with pytest.raises(UserError, match=r"no model of ESPnet's hubert1 or ssl1; expected weights named .*encoders"):
        import_model(tmp_path / "asr", "espnet", tmp_path / "out")


def test_files_of_nobody(tmp_path):
    torch.save({"x": torch.ones(1)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="not known whose file this is"):
        guess_origin(tmp_path / "x.pt")
    for origin in ("fairseq", "s3prl"):
        with pytest.raises(UserError, match=f"no checkpoint of {origin}"):
            import_model(tmp_path / "x.pt", origin, tmp_path / "out")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"kwargs\.json is missing: a state dict alone does not tell"):
        import_model(tmp_path / "folder", "torchaudio", tmp_path / "out")
    (tmp_path / "folder/config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="model_type bert has no form here; expected one of hubert"):
        import_model(tmp_path / "folder", "huggingface", tmp_path / "out")
