"""Blocks that layerdrop leaves out in; the loss and gradients of blocks computed and replaced, at less cost, out."""

from unittest import mock

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model

from espnet2.ssl.encoder import stack
from espnet2.ssl.modules.left_out import pass_by

KEEP = torch.tensor([True, False])


def gradients(model, batch):
    model.zero_grad()
    loss = mean_loss(model, batch)
    loss.backward()
    return loss.detach(), {name: value.grad.clone() for name, value in model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("encoder", ["transformer", "conformer", "e_branchformer"])
@pytest.mark.parametrize("keep", [[True, False], [False, True], [False, False]])
def test_same_bits_as_a_block_computed_and_replaced(encoder, keep):
    model = tiny_model(encoder=encoder, encoder_conf={"layerdrop": 0.5}).train()
    model.encoder.set_layerdrop(torch.tensor(keep))
    batch = noise_batch(model, (16000, 9000))
    loss, ours = gradients(model, batch)
    with mock.patch.object(stack, "_in_graph", lambda: True):
        other, theirs = gradients(model, batch)
    assert torch.equal(loss, other) and ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_nothing_of_it_is_computed():
    model = tiny_model(encoder_conf={"layerdrop": 0.5}).train()
    model.encoder.set_layerdrop(KEEP)
    calls = [0, 0]
    for number, block in enumerate(model.encoder.blocks):
        block.register_forward_pre_hook(lambda *_, number=number: calls.__setitem__(number, calls[number] + 1))
    mean_loss(model, noise_batch(model)).backward()
    assert calls == [1, 0]
    model.eval()(noise_batch(model))
    assert calls == [2, 1]


def test_one_graph_computes_all_blocks():
    """A compiled graph serves every choice of blocks: it takes the choice as a tensor."""
    model = tiny_model(encoder_conf={"layerdrop": 0.5}).train()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(model.encoder, backend=backend, dynamic=False)
    x = torch.randn(2, 12, 16)
    for keep in ([True, False], [False, True], [True, True]):
        model.encoder.set_layerdrop(torch.tensor(keep))
        whole = compiled(x, None).last
        assert torch.equal(whole, model.encoder(x, None).last)
    assert len(graphs) == 1


def test_wavlm_takes_the_gates_of_this_batch_alone():
    model = tiny_model("wavlm", encoder_conf={"layerdrop": 0.5}).train()
    for keep, length in (([True, True], 16000), ([True, False], 12000), ([False, False], 9000)):
        model.encoder.set_layerdrop(torch.tensor(keep))
        (loss,) = model(noise_batch(model, (length, length))).values()
        assert loss.stats["position_gate"].count > 0 if any(keep) else loss.stats["position_gate"].count == 0


def test_frozen_parameters_get_no_gradient():
    weight, frozen = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3), requires_grad=False)
    x = torch.randn(2, requires_grad=True)
    pass_by(x, [weight, frozen]).sum().backward()
    assert torch.equal(x.grad, torch.ones(2)) and torch.equal(weight.grad, torch.zeros(3)) and frozen.grad is None
    assert pass_by(x, [frozen]) is x
