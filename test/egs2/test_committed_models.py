"""The small models that recipes carry: each loads, is no larger than promised, and gives frames of its rate."""

from pathlib import Path

import pytest
import torch
from repository import ROOT
from trained import load_path

from espnet2.ssl.objective import objective_names

MODELS = sorted(path.parent for path in ROOT.glob("egs2/*/ssl1/models/*/model.safetensors"))
MAX_BYTES = 3 * 2**20  # --max_megabytes of ssl_pack_model, which made them


@pytest.mark.parametrize("folder", MODELS, ids=lambda path: f"{path.parents[2].name}/{path.name}")
def test_model_loads_and_gives_finite_frames(folder: Path) -> None:
    torch.set_num_threads(1)
    assert (folder / "model.safetensors").stat().st_size <= MAX_BYTES
    model = load_path(folder / "model.safetensors").model
    wav = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    (last,), lengths = model.first.extract(wav, torch.tensor([16000]), [model.encoder.num_layers])
    assert last.shape[1] == int(lengths) == model.frontend.geometry.output_lengths(16000)
    assert last.isfinite().all() and last.std() > 0.01


# Trained on Mboshi only, whose models are not committed: the licence of its recordings is not stated.
NOT_COMMITTED = {"distilhubert", "online_hubert"}


@pytest.mark.parametrize("corpus", ["mini_espeak", "festvox_ru"])
def test_every_method_has_one(corpus: str) -> None:
    names = {folder.name.removesuffix("_mini") for folder in MODELS if folder.parents[2].name == corpus}
    assert names >= set(objective_names()) - NOT_COMMITTED
