"""Dropped blocks, left out as on CUDA, in; results and gradients of those that compute and throw away out."""

import pytest
import torch
from tiny_encoder import tiny_encoder
from tiny_model import mean_loss, noise_batch, tiny_model

from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.modules.formulation import formulated_for_cuda

KEEP = [True, False, True]


def encode(encoder: Encoder, *, left_out: bool) -> tuple[dict[int, torch.Tensor], dict[str, torch.Tensor]]:
    """Outputs of all layers, and gradients."""
    x = torch.randn(2, 12, 16, generator=torch.Generator().manual_seed(1))
    encoder.zero_grad()
    encoder.before_update(1)
    with formulated_for_cuda(left_out):
        hidden = encoder(x, torch.tensor([12, 9]), layers=[1, 2, 3])
        hidden.last.square().sum().backward()
    return hidden.layers, {name: parameter.grad for name, parameter in encoder.named_parameters()}


@pytest.mark.parametrize("name", ["transformer", "conformer", "e_branchformer"])
def test_a_block_that_is_left_out_changes_nothing(name):
    encoder = tiny_encoder(name, layerdrop=0.3).train()
    encoder.set_layerdrop(torch.tensor(KEEP))
    layers, gradients = encode(encoder, left_out=False)
    called = []
    for number, block in enumerate(encoder.blocks):
        block.register_forward_hook(lambda *_, number=number: called.append(number))
    faster_layers, faster_gradients = encode(encoder, left_out=True)
    assert called == [0, 2], "the dropped block was computed"
    torch.testing.assert_close(faster_layers, layers)
    assert all(gradient is not None for gradient in faster_gradients.values())
    torch.testing.assert_close(faster_gradients, gradients)
    assert all((parameter.grad == 0).all() for parameter in encoder.blocks[1].parameters())


def test_blocks_that_are_all_dropped_are_computed():
    """What only they share, such as a table of positions, would be without a gradient."""
    encoder = tiny_encoder("transformer", layerdrop=0.5, attention_position="gated_relative").train()
    encoder.set_layerdrop(torch.tensor([False] * 3))
    _, gradients = encode(encoder, left_out=True)
    assert all(gradient is not None for gradient in gradients.values())


def test_evaluation_drops_nothing():
    encoder = tiny_encoder("transformer", layerdrop=0.3)
    x = torch.randn(1, 10, 16)
    expected = encoder(x, None).last
    encoder.set_layerdrop(torch.tensor(KEEP))
    with formulated_for_cuda(True):
        torch.testing.assert_close(encoder(x, None).last, expected)


def test_a_figure_of_a_block_that_is_left_out_is_not_an_old_one():
    """WavLM's gates are those of this batch."""
    model = tiny_model("wavlm", encoder_conf={"layerdrop": 0.5}).train()
    with formulated_for_cuda(True):
        mean_loss(model, noise_batch(model)).backward()
        model.encoder.set_layerdrop(torch.tensor([True, False]))
        loss = next(iter(model(noise_batch(model, (9600, 8000))).values()))
    gate = loss.stats["position_gate"]
    assert 0 < float(gate.total / gate.count) < 4 and float(gate.count) == 29 + 24
