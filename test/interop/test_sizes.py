"""Large models in; the names and shapes of transformers' on the meta device, and two layers at true width, out."""

import pytest
import torch
import transformers
from repository import ROOT
from safetensors.torch import save_file
from trained import load_path

from espnet2.formats import names
from espnet2.formats.canonical import rename, to_canonical
from espnet2.publish.convert import export_model
from espnet2.tasks.build import build, with_num_classes
from espnet2.tasks.config import dump_config, load_config

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
CONF = ROOT / "egs2/TEMPLATE/ssl1/conf"
LARGE = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
    "feat_extract_norm": "layer", "do_stable_layer_norm": True,
}  # fmt: skip
XLARGE = LARGE | {"hidden_size": 1280, "num_hidden_layers": 48, "intermediate_size": 5120}
SIZES = [
    ("hubert_large", "Hubert", LARGE),
    ("hubert_xlarge", "Hubert", XLARGE),
    ("wavlm_large", "WavLM", LARGE),
    ("wav2vec2_large", "Wav2Vec2", LARGE | {"conv_bias": True}),
]


@pytest.mark.parametrize(("name", "kind", "settings"), SIZES)
def test_names_and_shapes(name, kind, settings):
    with torch.device("meta"):
        ours = build(load_config(CONF / f"train_{name}.yaml"), 500)
        config = getattr(transformers, f"{kind}Config")(**settings)
        theirs = getattr(transformers, f"{kind}Model")(config).state_dict()
    entry = next(iter(ours.objectives))
    renamed, _ = rename(to_canonical(ours.state_dict(), entry), names.TRANSFORMERS)
    assert {key: value.shape for key, value in renamed.items()} == {key: value.shape for key, value in theirs.items()}


@pytest.mark.parametrize("library", ["huggingface", "torchaudio", "fairseq"])
@pytest.mark.parametrize("name", ["hubert_large", "wavlm_large"])
def test_two_layers_at_true_width(tmp_path, name, library):
    config = with_num_classes(load_config(CONF / f"train_{name}.yaml", ["--encoder_conf", "num_layers=2"]), 500)
    torch.manual_seed(0)
    (tmp_path / "exp").mkdir()
    save_file(build(config).state_dict(), tmp_path / "exp/model.safetensors")
    (tmp_path / "exp/config.yaml").write_text(dump_config(config))
    assert export_model(load_path(tmp_path / "exp"), library, tmp_path / "out")["largest_difference"] < 1e-4
