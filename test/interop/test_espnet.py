"""Models of ESPnet's ssl1 made by ESPnet itself in; the numbers it gives, from the imported models, out."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from espnet_weights import CASES, SCALED, ssl1_config, write_ssl1
from fresh_environment import fresh_environment, run
from trained import load_path

from espnet2.formats import espnet_ssl1
from espnet2.formats.canonical import from_canonical
from espnet2.formats.compare import normalised, our_states
from espnet2.formats.espnet import Espnet
from espnet2.formats.foreign import import_model
from espnet2.formats.settings import Settings
from espnet2.tasks.build import build
from espnet2.tasks.config import resolve_config

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
ESPNET = "espnet==202511"  # with its own pins of other packages it does not install beside current ones
OURS_TOO = (
    "torch", "torchaudio", "numpy", "pyyaml", "kaldiio", "sentencepiece", "espnet_tts_frontend", "soundfile",
)  # fmt: skip
ITS_OWN = (
    "humanfriendly==10.0", "typeguard==4.4.4", "configargparse==1.7.1", "torch_complex==0.4.4", "librosa==0.11.0",
    "jamo==0.4.1", "h5py==3.14.0", "packaging",
)  # fmt: skip
LIMIT = 1e-4
IN_ESPNET = """
import argparse, json, sys, torch, yaml
from pathlib import Path
from espnet2.tasks.ssl import SSLTask

def built(folder):
    return SSLTask.build_model(argparse.Namespace(**yaml.safe_load((folder / "config.yaml").read_text()))).eval()

sounds = [0.1 * torch.randn(length, generator=torch.Generator().manual_seed(length)) for length in (9000, 4321)]
for folder in sorted(Path(sys.argv[1]).iterdir()):
    file = folder / "valid.loss.best.pth"
    if folder.name == "meta":
        with torch.device("meta"):
            shapes = {name: list(value.shape) for name, value in built(folder).state_dict().items()}
        (folder / "shapes.json").write_text(json.dumps(shapes))
        continue
    torch.manual_seed(0)
    model = built(folder)
    if file.exists():
        model.load_state_dict(torch.load(file), strict=True)
    else:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.02 * torch.randn_like(parameter)
        torch.save(model.state_dict(), file)
    cases = []
    for wav in sounds:
        with torch.no_grad():
            last, layers, _ = model.inference_encode(wav[None], torch.tensor([len(wav)]))
        last = last[0] if isinstance(last, tuple) else last
        cases.append({"wav": wav, "last": last[0], "layers": [layer[0] for layer in layers]})
    torch.save(cases, folder / "theirs.pt")
"""
BASE = {  # egs2/librispeech/ssl1/conf/tuning/train_hubert.yaml of ESPnet
    "frontend_conf": {"shapes": espnet_ssl1.FRONTEND["shapes"], "normalize_audio": False},
    "preencoder_conf": {"output_size": 768},
    "encoder_conf": {
        "output_size": 768, "attention_heads": 12, "linear_units": 3072, "num_blocks": 12,
        "attention_dropout_rate": 0.1,
    },
}  # fmt: skip
XEUS = {  # XEUS (Chen et al., 2024, arXiv 2407.00837, section 3): 19 E-Branchformer blocks, 577 M parameters
    "frontend_conf": {**SCALED, "shapes": espnet_ssl1.FRONTEND["shapes"], "normalize_output": False},
    "preencoder_conf": {"output_size": 1024},
    "encoder_conf": {
        "output_size": 1024, "attention_heads": 8, "linear_units": 4096, "num_blocks": 19, "cgmlp_linear_units": 4096,
        "cgmlp_conv_kernel": 31, "merge_conv_kernel": 31,
    },
}  # fmt: skip
WIDE = {
    "base": ("post", BASE),
    "xeus_two": ("xeus", {**XEUS, "encoder_conf": {**XEUS["encoder_conf"], "num_blocks": 2}}),
}


def write_config(folder: Path, case: str, changes: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(ssl1_config(case, **changes)))


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder for each case with config.yaml, weights, and what ESPnet makes of two sounds."""
    working_folder = tmp_path_factory.mktemp("espnet")
    python = fresh_environment(working_folder / "env", *OURS_TOO)
    for packages in (ITS_OWN, ("--no-deps", ESPNET)):
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    folder = working_folder / "models"
    for case in CASES:
        write_ssl1(folder / case, case)
    for name, (case, changes) in WIDE.items():
        write_config(folder / name, case, changes)
    write_config(folder / "meta", "xeus", XEUS)
    # Its text frontend looks for taggers of NLTK at home, which nothing here needs.
    run(
        python, IN_ESPNET, folder, cwd=working_folder, env={**os.environ, "HOME": str(working_folder), "PYTHONPATH": ""}
    )
    return folder


@pytest.mark.parametrize("case", [*CASES, *WIDE])
def test_espnets_own_numbers(models, tmp_path, case):
    file = models / case / "valid.loss.best.pth"
    assert import_model(file, "espnet", tmp_path / "out")["largest_difference"] < LIMIT
    model, reading = load_path(tmp_path / "out").model, Espnet().run(file)
    for expected in torch.load(models / case / "theirs.pt"):
        ours, read = our_states(model, normalised(model, expected["wav"])), reading.states(expected["wav"])
        theirs = {**dict(enumerate(expected["layers"], 1)), "last": expected["last"]}
        assert len(theirs) == model.encoder.num_layers + 1
        for layer, state in theirs.items():
            assert (ours[layer] - state).abs().max() < LIMIT, (case, layer)
            assert (read[layer] - state).abs().max() < LIMIT, (case, layer)


def test_xeus_by_name_and_shape(models):
    shapes = json.loads((models / "meta/shapes.json").read_text())
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    config = yaml.safe_load((models / "meta/config.yaml").read_text())
    foreign = espnet_ssl1.read(state, Settings(config, "xeus: config.yaml"), "xeus")
    with torch.device("meta"):
        model = build(resolve_config(foreign.values, "xeus"))
    expected = {name: value.shape for name, value in model.state_dict().items() if not name.startswith("objectives.")}
    weights = from_canonical(foreign.weights, expected, "hubert")
    assert {name: value.shape for name, value in weights.items() if name in expected} == expected
    assert weights.keys() - expected.keys() == {"objectives.hubert.mask_embedding"}
    assert model.encoder.num_layers == 19 and 570e6 < sum(value.numel() for value in weights.values()) < 585e6
