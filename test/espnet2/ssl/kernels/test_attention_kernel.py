"""The attention kernels through Triton's interpreter: values and gradients of PyTorch's attention, with all options."""

import os
from dataclasses import dataclass

import pytest
import torch
from tiny_model import ENCODERS
from torch import Tensor
from torch.nn import functional as F

from espnet2.ssl.encoder.transformer import TransformerEncoder
from espnet2.ssl.kernels.attention import BEYOND_THE_END, attend, draw_seed
from espnet2.ssl.modules import position_kernel
from espnet2.ssl.modules.alibi import alibi_slopes

pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(not position_kernel.HAS_TRITON, reason="Triton is not installed"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="make test-triton runs these, interpreted"),
]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """An attention; the names of its biases are those of `attention_position`."""

    name: str
    position: str
    frames: int
    dim: int
    prefixes: int = 0
    padded: int = 0  # frames of the second row
    is_kept: bool = False  # some frames of a longer utterance
    dropout: float = 0.0
    dtype: torch.dtype = torch.float32
    batch: int = 2
    heads: int = 2


CASES = [
    Case("gated", "gated_relative", 33, 64, batch=1),
    Case("gated, padded, prefixes", "gated_relative", 37, 48, prefixes=2, padded=11),
    Case("gated, dropout", "gated_relative", 37, 16, dropout=0.3),
    # Not in bfloat16: the interpreter of Triton 3.7 multiplies its bits as integers.
    Case("gated, half precision", "gated_relative", 70, 16, padded=3, dtype=torch.float16, heads=1),
    Case("alibi", "alibi", 64, 32, heads=3, batch=1),
    Case("alibi, kept frames, padded, a prefix", "alibi", 41, 80, prefixes=1, padded=35, is_kept=True, heads=1),
    Case("alibi, all of it", "alibi", 35, 20, prefixes=1, padded=7, is_kept=True, dropout=0.2),
]


class Inputs:
    """The tensors of a case, from one seed."""

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        batch, heads, frames = case.batch, case.heads, case.frames
        self.case = case
        self.qkv = torch.randn(batch, frames, 3, heads, case.dim, dtype=case.dtype, requires_grad=True)
        self.row = self.positions = self.valid = self.seed = None
        if case.position == "gated_relative":
            self.weight = torch.rand(batch, heads, frames, requires_grad=True)
            self.row = torch.randn(heads, 2 * (frames + BEYOND_THE_END) + 1, requires_grad=True)
        else:
            self.weight = alibi_slopes(heads).requires_grad_()
        if case.is_kept:
            rows = [torch.randperm(3 * frames)[: frames - case.prefixes].sort().values for _ in range(batch)]
            self.positions = F.pad(torch.stack(rows).int(), (case.prefixes, 0))
        if case.padded:
            self.valid = torch.ones(batch, frames, dtype=torch.bool)
            self.valid[1, frames - case.padded :] = False
        if case.dropout:
            self.seed = draw_seed(CPU)
        self.gradient = torch.randn(batch, heads, frames, case.dim, dtype=case.dtype)

    @property
    def leaves(self) -> list[Tensor]:
        """What has a gradient."""
        return [self.qkv, self.weight] + ([] if self.row is None else [self.row])

    def heads(self) -> tuple[Tensor, ...]:
        """Query, key, value; parts of one projection."""
        return self.qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def weights(self) -> Tensor:
        """(batch, heads, frames)"""
        shape = (self.case.batch, self.case.heads, self.case.frames)
        return self.weight if self.row is not None else self.weight[:, None].expand(shape)

    def by_kernel(self) -> Tensor:
        """The operator's output."""
        options = (self.positions, self.valid, self.seed, self.case.prefixes, self.case.dropout)
        return attend(*self.heads(), self.weights(), self.row, *options)[0]

    def bias(self) -> Tensor:
        """(batch, heads, frames, frames), materialised."""
        frames = self.case.frames
        places = torch.arange(frames)[None] if self.positions is None else self.positions
        offsets = (places[:, None, :] - places[:, :, None]).long()
        factors = -offsets.abs()[:, None].float() if self.row is None else self.row[:, offsets + self.row.size(1) // 2]
        if self.row is not None:
            factors = factors.transpose(0, 1)
        has_position = torch.arange(frames) >= self.case.prefixes
        return self.weights()[..., None] * factors * (has_position[:, None] & has_position)

    def by_reference(self) -> Tensor:
        """PyTorch's attention; with dropout by hand, with the weights that the kernel keeps."""
        query, key, value = self.heads()
        bias = self.bias()
        if self.valid is not None:
            bias = torch.where(self.valid[:, None, None, :], bias, float("-inf"))
        if self.seed is None:
            return F.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        from kernel_dropout import kept

        case = self.case
        is_kept = kept(self.seed, case.batch, case.heads, case.frames, case.dropout)
        weights = (query @ key.transpose(2, 3) / case.dim**0.5 + bias).softmax(-1)
        share = 1 - round(case.dropout * 65536) / 65536
        return (weights * is_kept / share) @ value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_and_gradients_are_those_of_pytorch(case):
    inputs = Inputs(case)
    output, expected = inputs.by_kernel(), inputs.by_reference()
    exact = case.dtype == torch.float32
    limits = {"atol": 5e-6, "rtol": 1e-5} if exact else {"atol": 2e-3, "rtol": 2e-3}
    torch.testing.assert_close(output, expected, **limits)
    ours = torch.autograd.grad(output, inputs.leaves, inputs.gradient)
    for gradient, reference in zip(ours, torch.autograd.grad(expected, inputs.leaves, inputs.gradient), strict=True):
        scale = reference.abs().max()
        assert scale > 0.01
        assert (gradient - reference).abs().max() < (2e-6 if exact else 2e-3) * scale
    again = inputs.by_kernel()  # the same bits, forward and backward
    assert torch.equal(again, output)
    for gradient, before in zip(torch.autograd.grad(again, inputs.leaves, inputs.gradient), ours, strict=True):
        assert torch.equal(gradient, before)


def test_dropout_follows_the_seed_and_not_the_tiles():
    from kernel_dropout import kept

    torch.manual_seed(0)
    seed, other = draw_seed(CPU), draw_seed(CPU)
    first = kept(seed, 2, 3, 77, 0.1)
    assert torch.equal(first, kept(seed, 2, 3, 77, 0.1, block=64))
    assert abs(first.float().mean() - 0.9) < 0.005  # of 35,574: three standard deviations
    for dim in range(2, 4):  # no query and no key is favoured
        shares = first.float().mean((0, 1, dim))
        assert shares.min() > 0.8 and shares.max() < 0.98
    assert 0.8 < (first == kept(other, 2, 3, 77, 0.1)).float().mean() < 0.84  # 0.9^2 + 0.1^2
    assert 0.8 < (first[0] == first[1]).float().mean() < 0.84
    torch.manual_seed(0)
    assert torch.equal(draw_seed(CPU), seed)


def test_a_row_of_padding_gives_zeros():
    inputs = Inputs(Case("", "alibi", 9, 16, padded=9, batch=2, heads=1))
    output = inputs.by_kernel()
    assert (output[1] == 0).all() and output[0].abs().max() > 0.1
    assert all(x.isfinite().all() for x in torch.autograd.grad(output, inputs.leaves, inputs.gradient))


def test_the_operator_keeps_what_it_promises_to_pytorch():
    inputs = Inputs(Case("", "gated_relative", 5, 16, dropout=0.1, batch=1, heads=1))
    heads = [x.detach().requires_grad_() for x in inputs.heads()]
    torch.library.opcheck(attend, (*heads, inputs.weights(), inputs.row, None, None, inputs.seed, 0, 0.1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"row": torch.zeros(2, 99)}, "a row of 99"), ({"weight": torch.zeros(1, 2, 9).double()}, "weight is")],
)
def test_what_would_read_beyond_the_end_is_refused(changed, message):
    heads = torch.zeros(3, 1, 2, 9, 16)
    arguments = {"weight": torch.zeros(1, 2, 9), "row": torch.zeros(2, 2 * 9 + 129)} | changed
    with pytest.raises(ValueError, match=message):
        attend(*heads, arguments["weight"], arguments["row"], None, None, None, 0, 0.0)


def encoders(position: str, **conf: object) -> list[TransformerEncoder]:
    """One that materialises the biases and one that does not, with the same weights."""
    made = []
    for kernel in ("sdpa", "triton"):
        torch.manual_seed(0)
        options = ENCODERS["transformer"] | {"attention_position": position, "attention_kernel": kernel} | conf
        made.append(TransformerEncoder(TransformerEncoder.Config(**options)))
    return made


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("position", "conf"), [("alibi", {"alibi_learned_scale": True}), ("gated_relative", {"num_buckets": 16})]
)
def test_an_encoder_computes_the_same(monkeypatch, position, conf, padded):
    monkeypatch.setattr(position_kernel, "runs_kernel", lambda device: True)
    results = []
    for encoder in encoders(position, **conf):
        torch.manual_seed(1)
        x, prefix = torch.randn(2, 12, 16, requires_grad=True), torch.randn(2, 1, 16)
        lengths = torch.tensor([12, 7]) if padded else None
        keep = torch.tensor([[0, 3, 4, 11], [1, 2, 6, -1]]) if padded and position == "alibi" else None
        output = encoder(x, lengths, keep=keep, prefix=prefix).output
        output = output if keep is None else output * F.pad(keep >= 0, (1, 0), value=True)[..., None]
        if lengths is not None and keep is None:
            output = output * F.pad(torch.arange(12) < lengths[:, None], (1, 0), value=True)[..., None]
        (output * torch.randn(output.shape)).sum().backward()
        results.append([output, x.grad, *(parameter.grad for parameter in encoder.parameters())])
    for ours, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position", ["alibi", "gated_relative"])
def test_traced_without_a_break(monkeypatch, position):
    monkeypatch.setattr(position_kernel, "runs_kernel", lambda device: True)
    _, encoder = encoders(position, attention_dropout=0.1, num_layers=1)
    compiled = torch.compile(lambda *a: encoder(*a).output, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 9, 16)
    results = []
    for call in (compiled, lambda *a: encoder(*a).output):
        torch.manual_seed(1)
        encoder.zero_grad()
        call(x, None).square().sum().backward()
        results.append([parameter.grad for parameter in encoder.parameters()])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
