"""Every file in encoder/, with every kind of positions, must pass these; a new file is found by itself."""

import copy

import pytest
import torch
from tiny_encoder import tiny_conf, tiny_encoder

from espnet2.ssl.encoder import encoder_class, encoder_names
from espnet2.ssl.encoder.base import forbid_layerdrop, require_keep
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError

VARIANTS = [
    {},
    {"position": "conv_stack", "attention_position": "alibi", "alibi_learned_scale": True},
    {"position": "none", "attention_position": "alibi", "long_skips": True},
    {"position": "none", "attention_position": "gated_relative", "num_buckets": 16, "max_distance": 12},
    {"position": "none", "attention_position": "relative"},
    {"position": "none", "attention_position": "none"},
    {"position": "none", "attention_position": "relative_key", "relative_key_left": 4, "relative_key_right": 2},
    {"position": "conv", "position_join": "replace", "attention_position": "none", "norm_eps": 1e-12},
]
OWN_VARIANTS = {
    "transformer": [
        {"norm": "pre"},
        {"norm": "pre", "outer_norms": "both"},
        {"norm": "post", "outer_norms": "none", "activation": "relu"},
    ],
    "conformer": [
        *({"conv_norm": kind} for kind in ("batch", "group")),
        {"final_norm": True},
        {"attention_position": "rotary_input", "conv_causal": True},
    ],
    "e_branchformer": [{"final_norm": True}],
}
CASES = [(name, variant) for name in encoder_names() for variant in [*VARIANTS, *OWN_VARIANTS.get(name, [])]]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {' '.join(map(str, case[1].values()))}".strip())
def encoder(request):
    return tiny_encoder(request.param[0], **request.param[1])


@pytest.fixture(params=encoder_names())
def name(request):
    return request.param


@torch.no_grad()
def test_padding_changes_nothing(encoder):
    x, lengths = torch.randn(3, 30, 16), torch.tensor([30, 21, 2])
    batch = encoder(x, lengths, layers=[1, 3])
    noisy = x.clone()
    for row, length in enumerate(lengths.tolist()):
        noisy[row, length:] = 100 * torch.randn(30 - length, 16)
        alone = encoder(x[row : row + 1, :length], None, layers=[1, 3])
        torch.testing.assert_close(batch.last[row, :length], alone.last[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(batch.layers[1][row, :length], alone.layers[1][0], atol=1e-5, rtol=1e-4)
    again = encoder(noisy, lengths).last
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(batch.last[row, :length], again[row, :length], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_layers_are_the_full_outputs_of_blocks(encoder):
    x = torch.randn(2, 20, 16)
    whole = encoder(x, None, layers=[0, 1, 2, 3])
    assert sorted(whole.layers) == [0, 1, 2, 3]
    assert {tuple(layer.shape) for layer in (*whole.layers.values(), whole.last)} == {(2, 20, 16)}
    outputs = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    assert torch.equal(encoder(x, None).last, whole.last)
    for layer, (output, _) in enumerate(outputs, 1):
        assert torch.equal(whole.layers[layer], output)
    branches = encoder(x, None, layers=[1, 3], branch="feed_forward").layers
    assert torch.equal(branches[1], outputs[0][1]) and torch.equal(branches[3], outputs[2][1])


@pytest.mark.parametrize("name", ["conformer", "e_branchformer"])
@torch.no_grad()
def test_a_norm_after_the_last_block(name):
    encoder, x = tiny_encoder(name, final_norm=True, norm_eps=1e-12), torch.randn(2, 20, 16)
    hidden = encoder(x, None, layers=[3])
    torch.testing.assert_close(hidden.last, encoder.norm(hidden.layers[3]))
    assert not torch.allclose(hidden.last, hidden.layers[3], atol=0.01)
    epsilons = {name: module.eps for name, module in encoder.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    assert {name for name, eps in epsilons.items() if eps != 1e-12} <= {
        f"blocks.{number}.convolution.norm"
        for number in range(3)  # what conv_norm asks for is torch's own
    }
    plain = tiny_encoder(name)
    assert set(encoder.state_dict()) - set(plain.state_dict()) == {"norm.weight", "norm.bias"}


@torch.no_grad()
def test_no_more_is_computed_than_asked_for(encoder):
    x = torch.randn(2, 20, 16)
    whole = encoder(x, None, layers=[2]).layers[2]
    encoder.blocks[2] = torch.nn.Identity()  # would raise if called
    part = encoder(x, None, layers=[2])
    assert part.last is None and list(part.layers) == [2] and torch.equal(part.layers[2], whole)
    for layers, branch in (([4], None), ([-1], None), ([0], "feed_forward"), ([1], "attention")):
        with pytest.raises(UserError, match=r"has no layer|is not known"):
            encoder(x, None, layers=layers, branch=branch)


@torch.no_grad()
def test_prefix_comes_first_and_is_attended_to(encoder):
    x, lengths = torch.randn(2, 12, 16), torch.tensor([12, 7])
    one, other = torch.randn(2, 2, 16), torch.randn(2, 2, 16)
    both = encoder(x, lengths, prefix=one).last
    assert both.shape == (2, 14, 16)
    alone = encoder(x[1:, :7], None, prefix=one[1:]).last
    torch.testing.assert_close(both[1, :9], alone[0], atol=1e-5, rtol=1e-4)
    difference = both - encoder(x, lengths, prefix=other).last
    assert (difference[0].abs().amax(-1) > 0).all()


@torch.no_grad()
def test_kept_frames_have_the_positions_of_the_whole(encoder):
    x, lengths = torch.randn(2, 12, 16), torch.tensor([12, 9])
    everything = torch.arange(12).expand(2, -1)
    if encoder.convolves:
        with pytest.raises(UserError, match="encodes visible frames only"):
            encoder(x, None, keep=everything)
        return
    prefix = torch.randn(2, 1, 16)
    whole = encoder(x, None, prefix=prefix).last
    torch.testing.assert_close(encoder(x, None, keep=everything, prefix=prefix).last, whole, atol=1e-5, rtol=1e-4)
    shuffled = everything[:, torch.randperm(12)]
    output = encoder(x, None, keep=shuffled, prefix=prefix).last[:, 1:]
    expected = torch.take_along_dim(whole[:, 1:], shuffled[..., None], 1)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-4)
    keep = torch.tensor([[0, 3, 7, 9], [2, 5, -1, -1]])
    both = encoder(x, lengths, keep=keep).last
    alone = encoder(x[1:, :9], None, keep=keep[1:, :2]).last
    torch.testing.assert_close(both[1, :2], alone[0], atol=1e-5, rtol=1e-4)


def test_every_parameter_gets_a_gradient_and_forward_changes_nothing(encoder):
    encoder.train()
    before = {key: value.clone() for key, value in (*encoder.named_parameters(), *encoder.named_buffers())}
    encoder(torch.randn(2, 20, 16), torch.tensor([20, 13])).last.square().sum().backward()
    for key, value in (*encoder.named_parameters(), *encoder.named_buffers()):
        assert torch.equal(value, before[key]), key
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


def test_bf16_is_near_float32(encoder):
    x, lengths = torch.randn(2, 20, 16), torch.tensor([20, 13])
    expected = encoder(x, lengths).last
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = encoder(x, lengths).last
        output.float().square().sum().backward()
    assert ((output - expected)[1, :13].abs().mean() / expected[1, :13].abs().mean()) < 0.05
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())


def test_a_copy_computes_the_same(encoder):
    x = torch.randn(2, 20, 16)
    encoder.train()(x, None)  # whatever the forward pass remembers is copied too
    other = copy.deepcopy(encoder)
    assert torch.equal(encoder.eval()(x, None).last, other.eval()(x, None).last)


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        ("transformer", {"attention_position": "alibi"}),
        ("transformer", {"attention_position": "gated_relative"}),
        ("conformer", {"conv_norm": "batch"}),
        ("e_branchformer", {}),
    ],
)
def test_a_block_is_one_graph_for_the_compiler(name, conf):
    encoder = tiny_encoder(name, **conf)
    x, inputs = torch.randn(2, 12, 16), []
    handle = encoder.blocks[0].register_forward_pre_hook(lambda _, args: inputs.append(args))
    encoder(x, torch.tensor([12, 9]))
    handle.remove()
    compiled = torch.compile(encoder.blocks[0], backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs[0]), encoder.blocks[0](*inputs[0]))


def test_layerdrop_skips_the_chosen_blocks_and_keeps_them_in_the_graph(name):
    encoder = tiny_encoder(name, layerdrop=0.3).train()
    encoder.set_layerdrop(torch.tensor([True, False, True]))
    hidden = encoder(torch.randn(1, 10, 16), None, layers=[0, 1, 2, 3])
    assert torch.equal(hidden.layers[1], hidden.layers[2])
    assert not torch.equal(hidden.layers[2], hidden.layers[3])
    hidden.last.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    assert all((parameter.grad == 0).all() for parameter in encoder.blocks[1].parameters())


def test_layerdrop_is_refused_where_it_is_illegal(name):
    cls = encoder_class(name)
    with pytest.raises(UserError, match=r"layerdrop is 0\.1, but long_skips reads fixed blocks"):
        parse_config(cls.Config, {"long_skips": True, "layerdrop": 0.1}, "encoder_conf")
    with pytest.raises(
        UserError, match=r"loss \(w2v_bert\): layerdrop is 0\.1, but the contrastive loss reads block 2"
    ):
        forbid_layerdrop(tiny_encoder(name, layerdrop=0.1), "w2v_bert", "the contrastive loss reads block 2")
    forbid_layerdrop(tiny_encoder(name), "w2v_bert", "the contrastive loss reads block 2")


def test_convolving_encoders_are_refused_at_build_time(name):
    encoder = tiny_encoder(name)
    if not encoder.convolves:
        require_keep(encoder, "loss (data2vec2)")
        return
    with pytest.raises(UserError, match=r"loss \(data2vec2\): encodes visible frames only"):
        require_keep(encoder, "loss (data2vec2)")


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"num_heads": 3}, "dim 16 is not a multiple of num_heads 3"),
        ({"position": "conv", "position_groups": 5}, "dim 16 is not a multiple of position_groups 5"),
        ({"alibi_learned_scale": True, "attention_position": "none"}, "alibi_learned_scale needs attention_position"),
        ({"num_buckets": 320, "max_distance": 80}, "num_buckets is 320 and max_distance 80"),
        ({"attention_position": "relative", "dim": 15, "num_heads": 3, "position": "none"}, "dim 15 is odd"),
        ({"position": "stack"}, "'position' is 'stack'"),
    ],
)
def test_wrong_values_are_refused(name, conf, message):
    with pytest.raises(UserError, match=message):
        parse_config(encoder_class(name).Config, tiny_conf(name, **conf), "encoder_conf")


@torch.no_grad()
def test_long_skips_join_mirrored_blocks(name):
    encoder, plain = tiny_encoder(name, long_skips=True, num_layers=5), tiny_encoder(name, num_layers=5)
    plain.load_state_dict({key: value for key, value in encoder.state_dict().items() if not key.startswith("skips.")})
    x, eye, sources = torch.randn(2, 10, 16), torch.eye(16), []
    assert len(encoder.skips) == 2  # the middle one of 5 blocks is alone
    for block in encoder.blocks:
        block.register_forward_pre_hook(lambda _, inputs: sources.append(inputs[0]))
    for skip in encoder.skips:
        skip.bias.zero_()
        skip.weight.copy_(torch.cat([eye, 0 * eye], 1))
    torch.testing.assert_close(encoder(x, None).last, plain(x, None).last)
    for skip in encoder.skips:
        skip.weight.copy_(torch.cat([0 * eye, eye], 1))
    sources.clear()
    hidden = encoder(x, None, layers=[0, 1, 2, 3, 4, 5]).layers
    for source, expected in zip(sources, (0, 1, 2, 2, 1), strict=True):  # blocks 4 and 5 see their mirrors 2 and 1
        torch.testing.assert_close(source, hidden[expected])


def test_long_skips_start_as_the_stack_without_them():
    cls = encoder_class("transformer")
    torch.manual_seed(0)
    encoder = cls(
        parse_config(cls.Config, tiny_conf("transformer", long_skips=True, num_layers=4), "encoder_conf")
    ).eval()
    x = torch.randn(1, 10, 16)
    skips, encoder.skips = encoder.skips, None
    without = encoder(x, None).last
    encoder.skips = skips
    assert len(skips) == 2 and torch.allclose(encoder(x, None).last, without, atol=1e-6)
