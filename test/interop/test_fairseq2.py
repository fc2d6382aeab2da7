"""fairseq2's own wav2vec 2.0: our files in its classes, its files in ours, all released sizes by name and shape.

Its package needs a native library that is built for one torch, and which wav2vec 2.0 does not use: the classes are
imported beside an empty stand-in of that library, in a process of their own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fresh_environment import run
from safetensors.torch import save_file
from trained import load_path

from espnet2.formats import names
from espnet2.formats.canonical import old_weight_norm, rename, to_canonical
from espnet2.formats.compare import normalised, our_states
from espnet2.formats.foreign import import_model
from espnet2.publish.convert import export_model
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import build
from espnet2.tasks.config import dump_config, load_config

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
PACKAGES = (
    "fairseq2==0.8.1", "omnilingual-asr==0.2.0", "clusterscope==0.0.32", "editdistance==0.8.1",
    "importlib_resources==6.5.2", "ruamel.yaml==0.18.16", "torcheval==0.0.7",
)  # fmt: skip
NUM_SAMPLES = 16000
# Of omnilingual-asr and of fairseq2 itself, with the number of parameters that the models' names say.
SIZES = {"base": 95e6, "xlsr_base": 315e6, "1b": 965e6, "3b": 3.0e9, "7b": 6.5e9}

THEIR_CLASSES = """
import json, sys, types
from pathlib import Path
from unittest.mock import MagicMock
BINDINGS = ("memory", "data", "data.audio", "data.data_pipeline", "data.image", "data.string", "data.text",
            "data.text.converters", "data.text.text_reader", "data.text.sentencepiece")
for name in ("fairseq2n", "fairseq2n.bindings", *(f"fairseq2n.bindings.{part}" for part in BINDINGS)):
    sys.modules[name] = MagicMock()
import torch
import fairseq2.device, fairseq2.gang
fairseq2.gang.get_current_gangs = lambda device=None: fairseq2.gang.create_fake_gangs(torch.device("cpu"))
fairseq2.device.get_current_device = torch.get_default_device
from fairseq2.models.transformer import TransformerNormOrder
from fairseq2.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2EncoderConfig, create_wav2vec2_model
from fairseq2.nn import BatchLayout

def encode(model, wav):
    with torch.no_grad():
        return model.encoder(*model.encoder_frontend(wav[None], BatchLayout((1, len(wav)), None)))[0]
"""
OURS = """
import yaml
folder, reference = map(Path, sys.argv[1:])
values = yaml.safe_load((folder / "model.yaml").read_text())["model_config"]
encoder = values.pop("encoder_config")
encoder["norm_order"] = TransformerNormOrder[encoder["norm_order"]]
model = create_wav2vec2_model(Wav2Vec2Config(encoder_config=Wav2Vec2EncoderConfig(**encoder), **values)).eval()
model.load_state_dict(torch.load(folder / "model.pt")["model"])
case = torch.load(reference)
difference = (encode(model, case["wav"]) - case["last"]).abs().max()
assert difference < 1e-4, difference
"""
THEIRS = """
from fairseq2.models.wav2vec2.config import register_wav2vec2_configs
from fairseq2.runtime.config_registry import get_config
from fairseq2.runtime.dependency import DependencyContainer
import importlib.util
folder, packages = map(Path, sys.argv[1:3])
# the file alone: its package needs the native library
source = packages / "omnilingual_asr/models/wav2vec2_ssl/config.py"
spec = importlib.util.spec_from_file_location("omnilingual_config", source)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
container = DependencyContainer()
register_wav2vec2_configs(container)
module.register_omnilingual_asr_wav2vec2_ssl_configs(container)
for size in sys.argv[3:]:
    with torch.device("meta"):
        state = create_wav2vec2_model(get_config(container, Wav2Vec2Config, size)).state_dict()
    (folder / f"{size}.json").write_text(json.dumps({name: list(value.shape) for name, value in state.items()}))
    config = get_config(container, Wav2Vec2Config, size)
    config.encoder_config.num_encoder_layers = 2
    torch.manual_seed(0)
    model = create_wav2vec2_model(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    (folder / size).mkdir()
    torch.save({"model": model.state_dict()}, folder / size / "model.pt")
    wav = torch.load(folder / "wav.pt")
    if config.encoder_config.feature_extractor_layer_norm_convs:
        wav = torch.nn.functional.layer_norm(wav, wav.shape)
    torch.save(encode(model, wav), folder / size / "last.pt")
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fairseq2 and what its wav2vec 2.0 imports."""
    folder = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *PACKAGES]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Path:
    """<size>.json with names and shapes, and <size>/ with two layers of the true width and what they give."""
    folder = tmp_path_factory.mktemp("theirs")
    torch.save(0.1 * torch.randn(NUM_SAMPLES, generator=torch.Generator().manual_seed(1)), folder / "wav.pt")
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    run(sys.executable, THEIR_CLASSES + THEIRS, folder, packages, *map(Path, SIZES), env=environment)
    return folder


def last_states(model: SSLModel, wav: torch.Tensor) -> torch.Tensor:
    return our_states(model, normalised(model, wav))["last"]


@pytest.mark.parametrize("size", SIZES)
def test_a_released_size_has_its_names_its_shapes_and_its_numbers(tmp_path: Path, theirs: Path, size: str) -> None:
    card = import_model(theirs / size / "model.pt", "fairseq2", tmp_path / "ours")
    assert card["weights_left_out"] == []
    model = load_path(tmp_path / "ours").model
    last = torch.load(theirs / size / "last.pt")
    difference = (last_states(model, torch.load(theirs / "wav.pt")) - last).abs().max()
    assert difference < 1e-4 * max(1.0, float(last.abs().max()))

    shapes = {name: tuple(shape) for name, shape in json.loads((theirs / f"{size}.json").read_text()).items()}
    num_layers = 1 + max(int(name.split(".")[2]) for name in shapes if name.startswith("encoder.layers."))
    with torch.device("meta"):
        config = load_config(tmp_path / "ours/config.yaml", ["--encoder_conf", f"num_layers={num_layers}"])
        ours = build(config).state_dict()
    table = names.fairseq2(config.frontend_conf.norm, pre_norm=config.encoder_conf.norm == "pre")
    renamed, _ = rename(to_canonical(ours, "wav2vec2"), table)
    written = old_weight_norm(renamed)
    known = {name: shape for name, shape in shapes.items() if name != "quantizer.num_updates"}
    assert {name: tuple(value.shape) for name, value in written.items()} == known
    assert abs(sum(value.numel() for value in written.values()) / SIZES[size] - 1) < 0.05


@pytest.mark.parametrize("name", ["base", "large"])
def test_our_file_in_their_class(tmp_path: Path, packages: Path, name: str) -> None:
    conf = "egs2/TEMPLATE/ssl1/conf"
    root = Path(__file__).parents[2]
    config = load_config(root / conf / f"train_wav2vec2_{name}.yaml", ["--encoder_conf", "num_layers=2"])
    torch.manual_seed(0)
    (tmp_path / "exp").mkdir()
    save_file(build(config).state_dict(), tmp_path / "exp/model.safetensors")
    (tmp_path / "exp/config.yaml").write_text(dump_config(config))
    trained = load_path(tmp_path / "exp")
    assert export_model(trained, "fairseq2", tmp_path / "out")["largest_difference"] < 1e-4
    wav = 0.1 * torch.randn(NUM_SAMPLES, generator=torch.Generator().manual_seed(2))
    scaled = normalised(trained.model, wav)
    torch.save(
        {"wav": scaled.flatten(), "last": our_states(trained.model, scaled)["last"].squeeze(0)}, tmp_path / "case.pt"
    )
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    run(sys.executable, THEIR_CLASSES + OURS, tmp_path / "out", tmp_path / "case.pt", env=environment)
