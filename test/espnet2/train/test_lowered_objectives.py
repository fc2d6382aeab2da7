"""Every objective in, with dropout and symbolic sizes; lowered by inductor, forward and backward, none left out."""

import pytest
from lowered import lowering
from tiny_model import noise_batch, tiny_model

from espnet2.ssl.objective import objective_names
from espnet2.train.compiled import compile_forward

TWO_LAYERS = {"data2vec2", "dinosr", "online_hubert", "w2v_bert"}  # and no less; the others take one
FBANK = {"best_rq", "speechflow", "w2v_bert"}

pytestmark = [pytest.mark.compiler, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("lengths", [(16000, 12000), (16000, 16000)], ids=["padded", "even"])
@pytest.mark.parametrize("method", objective_names())
def test_an_objective_is_lowered(method, lengths):
    frontend = "fbank" if method in FBANK else "conv"
    encoder_conf = {"dropout": 0.1, "attention_dropout": 0.1, "num_layers": 2 if method in TWO_LAYERS else 1}
    model = tiny_model(method, frontend=frontend, encoder_conf=encoder_conf).train()
    model.before_update(1, 0)
    compile_forward(model, required=True)  # an error that names what could not be lowered
    with lowering() as lowers:
        assert lowers(lambda: model(noise_batch(model, lengths)))
