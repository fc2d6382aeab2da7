"""Every objective with every encoder: it trains, or is refused before training with the way out."""

import pytest
import torch
from tiny_model import TINY_PARTS, mean_loss, noise_batch, tiny_model

from espnet2.ssl.encoder import encoder_names
from espnet2.ssl.objective import objective_names
from espnet2.utils.errors import UserError

NEEDS_TRANSFORMER = {("data2vec2", "conformer"), ("data2vec2", "e_branchformer")}  # visible frames only
TRANSFORMERS_OWN = {"norm"}  # keys that the other encoders do not have


@pytest.mark.parametrize("encoder", [name for name in encoder_names() if name != "transformer"])
@pytest.mark.parametrize("objective", objective_names())
def test_every_objective_trains_with_every_encoder(objective, encoder, monkeypatch):
    torch.set_num_threads(1)
    parts = TINY_PARTS.get(objective, {})
    encoder_conf = {key: value for key, value in parts.get("encoder_conf", {}).items() if key not in TRANSFORMERS_OWN}
    monkeypatch.setitem(TINY_PARTS, objective, {**parts, "encoder": encoder, "encoder_conf": encoder_conf})
    if (objective, encoder) in NEEDS_TRANSFORMER:
        with pytest.raises(UserError, match="use encoder: transformer"):
            tiny_model(objective)
        return
    model = tiny_model(objective)
    batch = noise_batch(model, (16000, 12000))
    model.before_update(1, seed=0)
    loss = mean_loss(model, batch)
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    model.after_step(1)
