"""Settings of another library's file in, typed values out; what is of another kind is named with its file and key."""

import json
from pathlib import Path

import pytest
import torch

from espnet2.formats import find_reader
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError

SETTINGS = Settings(
    {"layers": 12, "text": "7", "half": 0.5, "whole": 3.0, "on": True, "none": None, "inner": {"layers": 2}}, "the file"
)


def test_values_are_read_by_their_type():
    assert [SETTINGS.whole(key) for key in ("layers", "text", "whole", "on")] == [12, 7, 3, 1]
    assert SETTINGS.number("half") == 0.5 and SETTINGS.number("layers") == 12.0
    assert SETTINGS.flag("on") and not SETTINGS.flag("none") and SETTINGS.flag("missing", True)
    assert SETTINGS.text("text") == "7" and SETTINGS.text("missing", "default") == "default"
    assert SETTINGS.section("inner").whole("layers") == 2
    assert SETTINGS.section("missing").values == SETTINGS.section("none").values == {}
    assert SETTINGS.whole("missing", 4) == 4


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (lambda: SETTINGS.whole("half"), "the file: half is 0.5; expected a whole number"),
        (lambda: SETTINGS.whole("missing"), "the file: missing is missing; expected a whole number"),
        (lambda: SETTINGS.whole("none", 4), "the file: none is None; expected a whole number"),
        (lambda: SETTINGS.number("inner"), r"the file: inner is \{'layers': 2\}; expected a number"),
        (lambda: Settings({"nan": float("nan")}, "f").number("nan"), "f: nan is nan; expected a number"),
        (lambda: Settings({"inf": "inf"}, "f").whole("inf"), "f: inf is inf; expected a whole number"),
        (lambda: Settings({"large": 10**400}, "f").whole("large"), "f: large is 10*; expected a whole number"),
        (lambda: SETTINGS.text("layers"), "the file: layers is 12; expected a text"),
        (lambda: SETTINGS.section("layers"), "the file: layers is 12; expected 'key: value' lines"),
    ],
)
def test_other_kinds_are_named(read, error):
    with pytest.raises(UserError, match=error):
        read()


def test_convolutions():
    layers = [[8, 10, 5], (8, 3, 2)]
    assert Settings({"conv": layers}, "f").conv_layers("conv") == [(8, 10, 5), (8, 3, 2)]


@pytest.mark.parametrize("value", [None, [], 3, "abc", [[8, 3]], [[8, 3, 2], 4], [[8, 3, 0]], [[8, 3, "2"]], {"a": 1}])
def test_what_describes_no_convolutions_is_named(value):
    with pytest.raises(UserError, match=r"f: conv is .*; expected \[channels, kernel, stride\] of each layer"):
        Settings({"conv": value}, "f").conv_layers("conv")


@pytest.mark.parametrize(
    ("contents", "error"),
    [
        ("{", r"kwargs.json:1: damaged or cut short .*: a state dict alone does not tell heads and strides"),
        ("[]", r"kwargs.json:1: expected a JSON object: a state dict alone does not tell"),
        ("{}", "kwargs.json: factory is None; expected one of wav2vec2_model, wavlm_model"),
        (json.dumps({"factory": ["wav2vec2_model"]}), "factory is .*; expected one of"),
        (json.dumps({"factory": "wav2vec2_model", "kwargs": 3}), "kwargs is 3; expected 'key: value' lines"),
        (
            json.dumps({"factory": "wav2vec2_model", "kwargs": {"extractor_conv_layer_config": "7 layers"}}),
            "extractor_conv_layer_config is 7 layers; expected .channels, kernel, stride. of each layer",
        ),
    ],
)
def test_a_damaged_folder_of_torchaudio_is_named(tmp_path: Path, contents: str, error: str):
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.pt")
    (tmp_path / "kwargs.json").write_text(contents)
    with pytest.raises(UserError, match=error):
        find_reader("torchaudio").read(tmp_path)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ({"encoder_layers": "many"}, "model.pt: encoder_layers is many; expected a whole number"),
        ({"encoder_embed_dim": None}, "model.pt: encoder_embed_dim is None; expected a whole number"),
        ({"conv_feature_layers": "[(8, 10)]"}, r"'\[\(8, 10\)\]' does not describe convolutions"),
        ({"conv_feature_layers": "[(8, 10, 5)] * 65"}, "does not describe convolutions"),
        ({"conv_feature_layers": "[8] + (3,)"}, "does not describe convolutions"),
        ({"conv_feature_layers": "__import__('os')"}, "does not describe convolutions"),
    ],
)
def test_a_damaged_checkpoint_of_fairseq_is_named(tmp_path: Path, model: dict, error: str):
    weights = {"encoder.pos_conv.0.weight_v": torch.ones(4, 2, 3)}
    torch.save({"cfg": {"model": model, "task": {}}, "model": weights}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=error):
        find_reader("fairseq").read(tmp_path)
