"""Blocks computed again in the backward pass: the same gradients, with dropout, DDP and a compiler; less memory."""

import pytest
import torch
import torch.distributed as dist
from tiny_model import ENCODERS
from torch.nn.parallel import DistributedDataParallel

from espnet2.ssl.encoder import encoder_class, encoder_names
from espnet2.tasks.config import resolve_config


def make(name, **conf):
    torch.manual_seed(0)
    cls = encoder_class(name)
    return cls(cls.Config(**(ENCODERS[name] | {"dropout": 0.2, "attention_dropout": 0.2, "layerdrop": 0.3} | conf)))


def gradients(encoder, call=None, lengths=(20, 13)):
    """Of a training forward pass with dropout, always the same."""
    torch.manual_seed(1)
    x = torch.randn(2, 20, 16, requires_grad=True)
    torch.manual_seed(2)
    output = (call or encoder)(x, lengths and torch.tensor(lengths)).last
    output.square().sum().backward()
    return [output, x.grad, *(parameter.grad for parameter in encoder.parameters())]


@pytest.mark.parametrize("name", encoder_names())
@pytest.mark.parametrize("position", ["none", "alibi", "gated_relative", "relative"])
def test_gradients_are_the_same(name, position):
    kept, again = (make(name, attention_position=position, recompute_blocks=choice) for choice in (False, True))
    again.load_state_dict(kept.state_dict())
    for ours, expected in zip(gradients(again), gradients(kept), strict=True):
        assert torch.equal(ours, expected)


def test_less_is_kept_for_the_backward_pass():
    def kept_bytes(encoder):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.nbytes) or x, lambda x: x):
            encoder(torch.randn(2, 20, 16), None)
        return sum(sizes)

    plain, again = (kept_bytes(make("transformer", recompute_blocks=choice)) for choice in (False, True))
    assert again < 0.5 * plain
    assert (
        kept_bytes(make("transformer", recompute_blocks=True).eval()) > again
    )  # there is no backward pass to save for


@pytest.mark.parametrize("position", ["none", "gated_relative"])
def test_traced_without_a_break(position):
    options = {"attention_position": position, "dropout": 0.0, "attention_dropout": 0.0}
    encoder = make("transformer", recompute_blocks=True, **options)
    expected = gradients(encoder, lengths=None)
    encoder.zero_grad()
    compiled = torch.compile(lambda *a: encoder(*a), fullgraph=True, backend="aot_eager", dynamic=False)
    for ours, reference in zip(gradients(encoder, compiled, None), expected, strict=True):
        torch.testing.assert_close(ours, reference)


def test_with_ddp(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        encoder = make("transformer", recompute_blocks=True)
        expected = gradients(encoder)
        encoder.zero_grad()
        for ours, reference in zip(gradients(encoder, DistributedDataParallel(encoder)), expected, strict=True):
            assert torch.equal(ours, reference)
    finally:
        dist.destroy_process_group()


def test_batch_norm_would_count_twice():
    with pytest.raises(Exception, match="recompute_blocks is true, but conv_norm batch gathers"):
        make("conformer", conv_norm="batch", recompute_blocks=True)
    values = {"encoder": "transformer", "encoder_conf": {"recompute_blocks": True}, "loss": [{"name": "best_rq"}]}
    assert resolve_config(values | {"frontend": "fbank"}).encoder_conf.recompute_blocks
