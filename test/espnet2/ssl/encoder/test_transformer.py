"""Transformer encoder: layer numbers, padding, kept frames, prefixes, branches, layerdrop."""

import pytest
import torch

from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.encoder.transformer import TransformerEncoder
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError

SMALL = {"num_layers": 3, "dim": 16, "num_heads": 2, "ffn_dim": 32, "position_kernel": 8, "position_groups": 4}


def make(**conf) -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder(TransformerEncoder.Config(**(SMALL | conf))).eval()


@pytest.fixture(params=["post", "pre"])
def encoder(request):
    return make(norm=request.param)


def test_unknown_encoder_lists_the_files():
    with pytest.raises(UserError, match=r"encoder: unknown encoder 'transfomer'; did you mean 'transformer'\?"):
        encoder_class("transfomer")


def test_asked_layers_come_back_and_no_more_is_computed(encoder):
    x = torch.randn(2, 20, 16)
    whole = encoder(x, None, layers=[0, 1, 2, 3])
    assert sorted(whole.layers) == [0, 1, 2, 3] and whole.last is not None
    encoder.blocks[2] = torch.nn.Identity()  # would raise if called
    part = encoder(x, None, layers=[2])
    assert part.last is None and list(part.layers) == [2]
    assert torch.equal(part.layers[2], whole.layers[2])


def test_layer_is_the_blocks_full_output(encoder):
    x = torch.randn(1, 20, 16)
    hidden = encoder(x, None, layers=[0, 1, 2, 3])
    for layer in (1, 2, 3):
        assert torch.equal(encoder.blocks[layer - 1](hidden.layers[layer - 1], None)[0], hidden.layers[layer])
    expected = encoder.norm(hidden.layers[3]) if encoder.pre_norm else hidden.layers[3]
    assert torch.equal(hidden.last, expected)
    assert torch.equal(encoder(x, None).last, hidden.last)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_norms_around_the_blocks(norm):
    x = torch.randn(1, 20, 16)
    one, none, both = (make(norm=norm, outer_norms=outer) for outer in ("one", "none", "both"))
    assert {"norm.weight", "entry_norm.weight"} & set(one.state_dict()) == {"norm.weight"}
    assert not {"norm.weight", "entry_norm.weight"} & set(none.state_dict())
    with torch.no_grad():
        for layer_norm, scale in ((both.entry_norm, 2.0), (both.norm, 3.0)):
            layer_norm.weight.fill_(scale)
    entered = none(x, None, layers=[0]).layers[0]
    torch.testing.assert_close(entered, x + none.position(x))
    normed = torch.nn.functional.layer_norm(entered, (16,))
    torch.testing.assert_close(one(x, None, layers=[0]).layers[0], entered if norm == "pre" else normed)
    torch.testing.assert_close(both(x, None, layers=[0]).layers[0], 2 * normed)
    hidden = none(x, None, layers=[3])
    assert torch.equal(hidden.last, hidden.layers[3])
    hidden = both(x, None, layers=[3])
    torch.testing.assert_close(hidden.last, 3 * torch.nn.functional.layer_norm(hidden.layers[3], (16,)))


def test_positions_in_place_of_their_input():
    x, encoder = torch.randn(1, 20, 16), make(norm="pre", position_join="replace")
    torch.testing.assert_close(encoder(x, None, layers=[0]).layers[0], encoder.position(x))
    with pytest.raises(UserError, match="position_join is replace, but position is none"):
        parse_config(TransformerEncoder.Config, {"position": "none", "position_join": "replace"}, "encoder_conf")


def test_activation_and_epsilon():
    encoder = make(norm="pre", activation="relu", norm_eps=1e-12, outer_norms="both")
    block, x = encoder.blocks[0], 1e-4 * torch.randn(1, 20, 16)
    expected = block.ffn_out(block.ffn_in(x).clamp(min=0))
    torch.testing.assert_close(block._feed_forward(x), expected)
    epsilons = {name: module.eps for name, module in encoder.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    assert epsilons.pop("entry_norm") == 1e-5 and set(epsilons.values()) == {1e-12} and len(epsilons) == 7
    assert {module.eps for module in make().modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-5}


def test_feed_forward_branch_is_before_the_residual(encoder):
    x = torch.randn(1, 20, 16)
    branch = encoder(x, None, layers=[2], branch="feed_forward").layers[2]
    block, hidden = encoder.blocks[1], encoder(x, None, layers=[1, 2]).layers
    attended = block.attention(block.attention_norm(hidden[1]) if encoder.pre_norm else hidden[1], None) + hidden[1]
    if encoder.pre_norm:
        torch.testing.assert_close(attended + branch, hidden[2])
    else:
        torch.testing.assert_close(block.ffn_norm(block.attention_norm(attended) + branch), hidden[2])


@pytest.mark.parametrize(("layers", "branch"), [([4], None), ([-1], None), ([0], "feed_forward"), ([1], "attention")])
def test_impossible_layers_are_refused(encoder, layers, branch):
    with pytest.raises(UserError, match=r"has no layer|is not known"):
        encoder(torch.randn(1, 5, 16), None, layers=layers, branch=branch)


def test_padding_never_changes_valid_frames(encoder):
    x, lengths = torch.randn(3, 40, 16), torch.tensor([40, 25, 3])
    batch = encoder(x, lengths, layers=[1, 3])
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(x[row : row + 1, :length], None, layers=[1, 3])
        torch.testing.assert_close(batch.last[row, :length], alone.last[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(batch.layers[1][row, :length], alone.layers[1][0], atol=1e-5, rtol=1e-4)


def test_kept_frames_have_the_positions_of_the_whole(encoder):
    x = torch.randn(2, 12, 16)
    keep = torch.tensor([[0, 3, 7], [2, 5, 11]])
    positioned = x + encoder.position(x)
    entered = encoder(x, None, keep=keep, layers=[0]).layers[0]
    expected = torch.stack([positioned[0, [0, 3, 7]], positioned[1, [2, 5, 11]]])
    torch.testing.assert_close(entered, expected if encoder.pre_norm else encoder.norm(expected))
    everything = torch.arange(12).expand(2, -1)
    torch.testing.assert_close(encoder(x, None, keep=everything).last, encoder(x, None).last)


def test_padding_among_kept_frames_is_not_attended_to(encoder):
    x, lengths = torch.randn(2, 12, 16), torch.tensor([12, 9])
    keep = torch.tensor([[0, 3, 7, 9], [2, 5, -1, -1]])
    both = encoder(x, lengths, keep=keep).last
    alone = encoder(x[1:, :9], None, keep=keep[1:, :2]).last
    torch.testing.assert_close(both[1, :2], alone[0], atol=1e-5, rtol=1e-4)


def test_prefix_comes_first_and_is_attended_to(encoder):
    x, lengths = torch.randn(2, 12, 16), torch.tensor([12, 7])
    one, other = torch.randn(2, 1, 16), torch.randn(2, 1, 16)
    assert encoder(x, lengths, prefix=one).last.shape == (2, 13, 16)
    assert torch.equal(
        encoder(x, lengths, prefix=one, layers=[0]).layers[0][:, 1:], encoder(x, lengths, layers=[0]).layers[0]
    )
    difference = encoder(x, lengths, prefix=one).last - encoder(x, lengths, prefix=other).last
    assert difference[0, 1:].abs().amin(-1).max() > 0
    alone = encoder(x[1:, :7], None, prefix=one[1:]).last
    torch.testing.assert_close(encoder(x, lengths, prefix=one).last[1, :8], alone[0], atol=1e-5, rtol=1e-4)


def test_layerdrop_skips_the_chosen_blocks_and_keeps_them_in_the_graph():
    encoder = make(dropout=0.0, attention_dropout=0.0, layerdrop=0.3).train()
    x = torch.randn(1, 10, 16)
    encoder.set_layerdrop(torch.tensor([True, False, True]))
    hidden = encoder(x, None, layers=[0, 1, 2, 3])
    assert torch.equal(hidden.layers[1], hidden.layers[2])
    assert not torch.equal(hidden.layers[2], hidden.layers[3])
    hidden.last.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    assert all((parameter.grad == 0).all() for parameter in encoder.blocks[1].parameters())
    assert not torch.equal(encoder.eval()(x, None, layers=[1, 2]).layers[2], hidden.layers[1]), "never in evaluation"
    assert "block_is_kept" not in encoder.state_dict()


def test_linear_layers_start_as_bert():
    block = make(dim=64, num_heads=4, ffn_dim=256).blocks[0]
    for linear in (block.attention.qkv, block.attention.output, block.ffn_in, block.ffn_out):
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert (linear.bias == 0).all()


@pytest.mark.parametrize(
    ("conf", "message"), [({"num_heads": 3}, "num_heads 3"), ({"position_groups": 5}, "position_groups 5")]
)
def test_sizes_that_do_not_divide_are_refused(conf, message):
    with pytest.raises(UserError, match=f"encoder_conf: dim 16 is not a multiple of {message}"):
        parse_config(TransformerEncoder.Config, SMALL | conf, "encoder_conf")


def test_a_block_is_one_graph_for_the_compiler(encoder):
    block = encoder.blocks[0]
    compiled = torch.compile(block, backend="eager", fullgraph=True)
    x, mask = torch.randn(2, 12, 16), torch.ones(2, 1, 1, 12, dtype=torch.bool)
    for block_mask in (None, mask):
        torch.testing.assert_close(compiled(x, block_mask), block(x, block_mask))
