"""Released sizes of w2v-BERT 2.0 and Wav2Vec2-Conformer: names, shapes, and numbers at true width, two layers."""

import json

import pytest
import torch
import transformers
from trained import load_path

from espnet2.formats import names
from espnet2.formats.canonical import rename, to_canonical
from espnet2.formats.foreign import import_model
from espnet2.publish.convert import export_model
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
CONFORMER = {  # config.json of facebook/wav2vec2-conformer-{rel-pos,rope}-large, where it differs from its class
    "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "hidden_act": "swish",
    "feat_extract_norm": "layer", "conv_bias": True, "num_hidden_layers": 24,
}  # fmt: skip
CASES = {
    "w2v_bert": ("Wav2Vec2Bert", {}, names.TRANSFORMERS_BERT, 580e6),
    "relative": ("Wav2Vec2Conformer", {**CONFORMER, "position_embeddings_type": "relative"}, None, 618e6),
    "rotary": ("Wav2Vec2Conformer", {**CONFORMER, "position_embeddings_type": "rotary"}, None, 593e6),
}


@pytest.mark.parametrize("case", CASES)
def test_two_layers_at_true_width_and_all_by_name(tmp_path, case):
    kind, settings, table, num_parameters = CASES[case]
    model_class = getattr(transformers, f"{kind}Model")
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**settings | {"num_hidden_layers": 2})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path / "hf")
    (tmp_path / "hf/preprocessor_config.json").write_text(
        json.dumps(
            {"do_normalize": True} if table is None else {"feature_extractor_type": "SeamlessM4TFeatureExtractor"}
        )
    )
    assert import_model(tmp_path / "hf", "huggingface", tmp_path / "ours")["largest_difference"] < 1e-4
    assert export_model(load_path(tmp_path / "ours"), "huggingface", tmp_path / "out")["largest_difference"] < 1e-4

    with torch.device("meta"):
        theirs = model_class(model_class.config_class(**settings)).state_dict()
        ours = build(load_config(tmp_path / "ours/config.yaml", ["--encoder_conf", "num_layers=24"])).state_dict()
    renamed, _ = rename(to_canonical(ours, next(iter(_entries(ours)))), table or names.TRANSFORMERS_CONFORMER)
    unused = ("encoder.pos_conv_embed.", "encoder.embed_positions.")
    kept = {
        name: value
        for name, value in theirs.items()
        if not name.startswith(unused) and not name.endswith("num_batches_tracked")
    }
    assert {name: value.shape for name, value in renamed.items()} == {name: value.shape for name, value in kept.items()}
    assert abs(sum(value.numel() for value in kept.values()) - num_parameters) < 15e6


def _entries(state: dict[str, torch.Tensor]) -> list[str]:
    return sorted({name.split(".")[1] for name in state if name.startswith("objectives.")})
