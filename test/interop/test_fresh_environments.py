"""BASE models and the demo's in, the same numbers in environments that hold only the other library out."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from fresh_environment import fresh_environment, run
from repository import ROOT
from safetensors.torch import save_file
from trained import load_path

from espnet2.formats import reader_names, writer_names
from espnet2.formats.compare import normalised, our_states, sounds
from espnet2.formats.foreign import import_model
from espnet2.publish.convert import export_model
from espnet2.tasks.build import build, with_num_classes
from espnet2.tasks.config import dump_config, load_config

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
CONF = ROOT / "egs2/TEMPLATE/ssl1/conf"
DEMO = ROOT / "egs2/mini_espeak/ssl1/models/hubert_mini_conv"  # what `make demo` trained, packed
S3PRL = "s3prl==0.4.18"

IN_TRANSFORMERS = """
import sys, torch
from transformers import AutoFeatureExtractor, AutoModel
folder, reference = sys.argv[1:]
model, extractor = AutoModel.from_pretrained(folder).eval(), AutoFeatureExtractor.from_pretrained(folder)
for case in torch.load(reference):
    inputs = extractor(case["wav"].numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        output = model(inputs.input_values, output_hidden_states=True)
    assert (output.last_hidden_state[0] - case["last"]).abs().max() < 1e-4
    assert (output.hidden_states[case["layer"]][0] - case["middle"]).abs().max() < 1e-4
"""
IN_TORCHAUDIO = """
import json, sys, torch, torchaudio
folder, reference = sys.argv[1:]
about = json.load(open(folder + "/kwargs.json"))
model = getattr(torchaudio.models, about["factory"])(**about["kwargs"]).eval()
model.load_state_dict(torch.load(folder + "/model.pt"))
for case in torch.load(reference):
    with torch.no_grad():
        layers, _ = model.extract_features(case["wav"][None])
    assert (layers[case["layer"] - 1][0] - case["middle"]).abs().max() < 1e-4
    assert (layers[-1][0] - case["last"]).abs().max() < 1e-4
"""
IN_S3PRL = """
import sys, torch
from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig
from s3prl.upstream.wav2vec2.wav2vec2_model import Wav2Vec2Config, Wav2Vec2Model
from s3prl.upstream.wavlm.WavLM import WavLM, WavLMConfig
folder, reference = sys.argv[1:]
content = torch.load(folder + "/model.pt")
def made(cls, values):  # as s3prl.upstream.utils.merge_with_parent
    return cls(**{key: value for key, value in values.items() if key in cls.__dataclass_fields__})
if "cfg" in content:
    model = WavLM(WavLMConfig(content["cfg"]))
elif "dictionaries_symbols" in content:
    task = made(HubertPretrainingConfig, content["task_cfg"])
    model = HubertModel(made(HubertConfig, content["model_cfg"]), task, content["dictionaries_symbols"])
else:
    model = Wav2Vec2Model(made(Wav2Vec2Config, content["model_cfg"]))
model.load_state_dict(content["model"] if "cfg" in content else content["model_weight"])
model.eval()
for case in torch.load(reference):
    wavs, keys = case["wav"][None], {} if "cfg" in content else {"mask": None}
    with torch.no_grad():
        output = model.extract_features(wavs, padding_mask=torch.zeros(wavs.shape, dtype=torch.bool), **keys)
    last = output["x"] if isinstance(output, dict) else output[0]
    assert (last[0, : len(case["last"])] - case["last"]).abs().max() < 1e-4
"""


def write_base(folder: Path, objective: str, *overrides: str) -> Path:
    """exp/<name> of a BASE model with random weights."""
    config = with_num_classes(load_config(CONF / f"train_{objective}_base.yaml", overrides), 100)
    torch.manual_seed(0)
    model = build(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.yaml").write_text(dump_config(config))
    return folder


def write_reference(experiment: Path, path: Path) -> Path:
    """Sounds, and our middle layer and last layer of each."""
    model = load_path(experiment).model
    cases, layer = [], model.encoder.num_layers // 2
    for wav in sounds(model):
        states = our_states(model, normalised(model, wav))
        cases.append({"wav": wav, "layer": layer, "middle": states[layer], "last": states["last"]})
    torch.save(cases, path)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> dict[str, Path]:
    """Objective (or the demo's model) -> experiment, and "<objective> reference" -> what it gives."""
    folder = tmp_path_factory.mktemp("base")
    experiments = {}
    for objective in ("hubert", "wav2vec2", "wavlm"):
        experiments[objective] = write_base(folder / objective, objective)
        experiments[f"{objective} reference"] = write_reference(experiments[objective], folder / f"{objective}.pt")
    experiments["demo"], experiments["demo reference"] = DEMO, write_reference(DEMO, folder / "demo.pt")
    return experiments


def test_transformers_alone(tmp_path, base):
    python = fresh_environment(tmp_path / "env", "torch", "transformers", "numpy", "safetensors")
    for objective in ("demo", "hubert", "wav2vec2", "wavlm"):
        export_model(load_path(base[objective]), "huggingface", tmp_path / objective)
        run(python, IN_TRANSFORMERS, tmp_path / objective, base[f"{objective} reference"], cwd=tmp_path)


def test_torchaudio_alone(tmp_path, base):
    python = fresh_environment(tmp_path / "env", "torch", "torchaudio", "numpy")
    for objective in ("demo", "hubert", "wavlm"):
        export_model(load_path(base[objective]), "torchaudio", tmp_path / objective)
        run(python, IN_TORCHAUDIO, tmp_path / objective, base[f"{objective} reference"], cwd=tmp_path)


def test_the_model_code_in_s3prl(tmp_path, base):
    """Its package does not import beside current torchaudio; the classes that load the files do."""
    get = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", S3PRL, "-d", tmp_path]
    subprocess.run(get, check=True)
    (archive,) = tmp_path.glob("s3prl-*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    source = str(tmp_path / archive.name.removesuffix(".tar.gz"))
    for objective in ("hubert", "wav2vec2", "wavlm"):
        export_model(load_path(base[objective]), "s3prl", tmp_path / objective)
        run(sys.executable, IN_S3PRL, tmp_path / objective, base[f"{objective} reference"], env={"PYTHONPATH": source})


@pytest.mark.parametrize("library", writer_names())
def test_base_through_every_conversion(tmp_path, base, library):
    objective = "wav2vec2" if library == "fairseq2" else "hubert"  # fairseq2 knows no other
    card = export_model(load_path(base[objective]), library, tmp_path / "out")
    assert json.loads((tmp_path / "out/conversion.json").read_text())["largest_difference"] < 1e-4
    assert card["num_layers"] == 12
    if library in reader_names():
        assert import_model(tmp_path / "out", library, tmp_path / "back")["largest_difference"] < 1e-4


def test_base_of_data2vec_2(tmp_path):
    experiment = write_base(tmp_path / "exp", "data2vec2")
    export_model(load_path(experiment), "fairseq", tmp_path / "out")
    assert import_model(tmp_path / "out", "fairseq", tmp_path / "back")["largest_difference"] < 1e-4
