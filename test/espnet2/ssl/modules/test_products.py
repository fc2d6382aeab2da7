"""Convolutions as matrix products: values and gradients of F.conv1d, whatever the kernel, stride and lengths."""

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model
from torch import nn
from torch.nn import functional as F

from espnet2.ssl.encoder.transformer import TransformerEncoder
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.ssl.modules import products
from espnet2.ssl.modules.conv_decoder import ConvDecoder
from espnet2.ssl.modules.folded_norm import normalised_convolution
from espnet2.ssl.modules.formulation import formulated_for_cuda, wants_cuda_formulation
from espnet2.ssl.modules.position import ConvPosition, ConvPositionStack
from espnet2.ssl.modules.products import banded_product, convolve_frames, strided_product
from espnet2.ssl.objective import objective_names

# inputs, outputs, kernel, stride, frames; 64 inputs and more are no narrow windows
STRIDED = [
    (64, 12, 3, 2, 41),
    (64, 12, 3, 2, 40),
    (64, 8, 2, 2, 39),
    (64, 8, 2, 2, 2),
    (64, 6, 8, 3, 50),
    (64, 6, 10, 5, 51),
    (64, 6, 3, 1, 9),
    (70, 6, 2, 3, 50),
    (70, 6, 1, 1, 9),
    (1, 6, 10, 5, 51),
    (8, 12, 3, 2, 41),
]
# inputs, outputs, groups, kernel, frames, zeros on the left
BANDED = [
    (16, 16, 4, 8, 37, 4),
    (12, 24, 3, 5, 16, 2),
    (8, 8, 2, 128, 50, 64),
    (8, 8, 2, 19, 100, 9),
    (8, 8, 1, 3, 1, 1),
    (8, 16, 4, 7, 33, 3),
]


def assert_same(ours: torch.Tensor, expected: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    """Values and the gradients of a random direction."""
    torch.testing.assert_close(ours, expected)
    direction = torch.randn_like(expected)
    gradients = (torch.autograd.grad(output, inputs, direction) for output in (ours, expected))
    for mine, theirs in zip(*gradients, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("inputs", "outputs", "kernel", "stride", "frames"), STRIDED)
@pytest.mark.parametrize("is_compiling", [False, True])
def test_strided(inputs, outputs, kernel, stride, frames, is_compiling, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: is_compiling)
    torch.manual_seed(0)
    x = torch.randn(3, frames, inputs, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(outputs, inputs, kernel, dtype=torch.float64, requires_grad=True)
    expected = F.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)
    assert_same(strided_product(x, weight, stride), expected, [x, weight])


@pytest.mark.parametrize(("inputs", "outputs", "groups", "kernel", "frames", "left"), BANDED)
@pytest.mark.parametrize("block", [1, 5, 16])
def test_banded(inputs, outputs, groups, kernel, frames, left, block, monkeypatch):
    monkeypatch.setattr(products, "POSITION_BLOCK", block)
    torch.manual_seed(0)
    x = torch.randn(3, frames, inputs, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(outputs, inputs // groups, kernel, dtype=torch.float64, requires_grad=True)
    expected = F.conv1d(x.transpose(1, 2), weight, padding=left, groups=groups)[..., :frames].transpose(1, 2)
    assert_same(banded_product(x, weight, groups, left, frames), expected, [x, weight])


def test_frames_that_are_not_contiguous():
    torch.manual_seed(0)
    x = torch.randn(2, 64, 21, dtype=torch.float64)
    weight = torch.randn(6, 64, 3, dtype=torch.float64)
    ours = strided_product(x.transpose(1, 2), weight, 2)
    torch.testing.assert_close(ours.transpose(1, 2), F.conv1d(x, weight, stride=2))


def test_a_cpu_computes_convolutions_unless_it_is_forced_to(monkeypatch):
    conv, x = nn.Conv1d(8, 8, 3, padding=1, groups=2), torch.randn(2, 9, 8)
    calls = []
    monkeypatch.setattr(products, "banded_product", lambda *a: calls.append(a) or banded_product(*a))
    expected = conv(x.transpose(1, 2)).transpose(1, 2)
    assert torch.equal(convolve_frames(conv, x), expected) and not calls
    with formulated_for_cuda(True):
        torch.testing.assert_close(convolve_frames(conv, x), expected)
    assert len(calls) == 1
    assert torch.equal(convolve_frames(conv, x), expected) and len(calls) == 1
    assert wants_cuda_formulation(torch.empty(1, device="meta")) is False


def test_products_follow_autocast():
    x, weight = torch.randn(2, 20, 64), torch.randn(6, 64, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert strided_product(x, weight, 2).dtype == torch.bfloat16
        assert banded_product(x, torch.randn(64, 16, 3), 4, 1, 20).dtype == torch.bfloat16
        assert strided_product(x.double(), weight.double(), 2).dtype == torch.float64
    assert strided_product(x, weight, 2).dtype == torch.float32


MODULES = [
    ConvPosition(16, 8, 4),
    ConvPosition(16, 7, 4, weight_norm=False),
    ConvPositionStack(12, 5, 3, 2),
    ConvPositionStack(12, 4, 3, 2),
]


@pytest.mark.parametrize("module", MODULES)
def test_positions(module):
    torch.manual_seed(0)
    x = torch.randn(2, 21, 16 if isinstance(module, ConvPosition) else 12, requires_grad=True)
    expected = module(x)
    with formulated_for_cuda(True):
        assert_same(module(x), expected, [x, *module.parameters()])


def test_decoder():
    torch.manual_seed(0)
    decoder = ConvDecoder(8, 12, num_layers=3, kernel=7, groups=4, dropout=0.0, noise_std=0.01).eval()
    x = torch.randn(2, 5, 8, requires_grad=True)
    keep, valid = torch.tensor([[0, 1, 4, 7, 9]] * 2), torch.arange(11) < torch.tensor([[11], [10]])
    expected = decoder(x, keep, 11, valid)
    with formulated_for_cuda(True):
        assert_same(decoder(x, keep, 11, valid), expected, [x, *decoder.parameters()])


def reference(wavs, weight, lengths):
    """Convolution and normalisation as they are written down, in float64."""
    convolved = F.conv1d(wavs[:, None], weight, stride=5).transpose(1, 2)
    frames = torch.arange(convolved.size(1)) < (convolved.size(1) if lengths is None else lengths[:, None])
    valid = frames.view(-1, convolved.size(1), 1).double()
    count = valid.sum(1, keepdim=True).clamp(min=1)
    centred = convolved - (convolved * valid).sum(1, keepdim=True) / count
    return centred * torch.rsqrt((centred.square() * valid).sum(1, keepdim=True) / count + 1e-5)


@pytest.mark.parametrize("lengths", [None, [199, 120, 1], [199, 120, 0]])
@pytest.mark.parametrize("bias", [None, torch.randn(6)])
def test_the_first_convolution_is_normalised_by_the_moments_of_its_windows(lengths, bias):
    torch.manual_seed(0)
    wavs = (0.1 * torch.randn(3, 1000) + 0.5).requires_grad_()  # half of full scale off centre
    weight, gain, shift = torch.randn(6, 1, 10), torch.rand(6) + 0.5, torch.randn(6)
    inputs = [wavs, *(leaf.requires_grad_() for leaf in (weight, gain, shift))]
    lengths = lengths and torch.tensor(lengths)
    expected = reference(wavs.double(), weight.double(), lengths) * gain + shift
    affine = {"gain": gain, "shift": shift, "eps": 1e-5}
    ours = normalised_convolution(wavs, weight, bias, lengths, stride=5, **affine)
    if lengths is not None:
        assert ours.isfinite().all()
        valid = (torch.arange(199) < lengths[:, None])[..., None]
        ours, expected = ours * valid, expected * valid
    torch.testing.assert_close(
        ours.double(), expected, atol=1e-5 if lengths is None else 1e-4, rtol=1e-5
    )  # one frame: by 316
    direction = torch.randn_like(expected)
    gradients = (torch.autograd.grad(output, inputs, direction.to(output)) for output in (ours, expected))
    for mine, theirs in zip(*gradients, strict=True):
        assert (mine - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_silence_is_normalised_to_the_shift():
    ones = torch.ones(4)
    affine = {"gain": ones, "shift": 2 * ones, "eps": 1e-5}
    silence = normalised_convolution(torch.zeros(2, 500), torch.randn(4, 1, 10), None, None, stride=5, **affine)
    torch.testing.assert_close(silence, torch.full((2, 99, 4), 2.0))


def test_rounding_is_relative_to_what_is_heard():
    """In bf16 a level of half of full scale under a hundredth of it would leave one bit of the signal."""
    torch.manual_seed(0)
    wavs, weight, ones = 0.01 * torch.randn(1, 4000), torch.randn(8, 1, 10), torch.ones(8)
    affine = {"stride": 5, "gain": ones, "shift": 0 * ones, "eps": 1e-5}
    exact = normalised_convolution(wavs, weight, None, None, **affine)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = normalised_convolution(wavs + 0.5, weight, None, None, **affine)
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).abs().max() < 0.02 * exact.abs().max()


CONFIGS = [{}, {"bias": True}, {"norm": "layer", "bias": True}, {"layers": ((7, 3), (4, 3), (3, 1))}]


@pytest.mark.parametrize("conf", CONFIGS)
@pytest.mark.parametrize("lengths", [None, [8000, 6001, 400]])
def test_frontend(conf, lengths):
    torch.manual_seed(0)
    frontend = ConvFrontend(ConvFrontend.Config(channels=72, dropout=0.0, **conf), 8)
    wavs = 0.1 * torch.randn(3, 8000, requires_grad=True)
    valid = torch.ones(1, dtype=torch.bool)
    if lengths is not None:
        lengths = torch.tensor(lengths)
        wavs = wavs * (torch.arange(8000) < lengths[:, None])
        valid = (
            torch.arange(frontend.geometry.output_lengths(8000)) < frontend.geometry.output_lengths(lengths)[:, None]
        )
    expected = frontend(wavs, lengths)
    with formulated_for_cuda(True):
        ours = frontend(wavs, lengths)
    assert (ours.lengths is None) == (lengths is None)
    mine, theirs = (frames.projected * valid[..., None] for frames in (ours, expected))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    weights = dict(frontend.named_parameters())
    direction = torch.randn_like(theirs)
    gradients = [torch.autograd.grad(output, list(weights.values()), direction) for output in (mine, theirs)]
    for name, one, other in zip(weights, *gradients, strict=True):
        largest = 1e3 if name == "blocks.0.conv.bias" and conf.get("norm") is None else other.abs().max()
        assert (one - other).abs().max() <= 1e-5 * largest, name  # GroupNorm takes that bias out: only noise is left


@pytest.mark.parametrize("name", objective_names())
def test_every_objective_has_the_same_loss(name):
    model = tiny_model(name, frontend="conv").eval()
    batch = noise_batch(model, (16000, 12000))
    expected = mean_loss(model, batch).item()
    with formulated_for_cuda(True):
        assert mean_loss(model, batch).item() == pytest.approx(expected, rel=1e-5)


def test_traced_without_a_break():
    frontend = ConvFrontend(ConvFrontend.Config(channels=72, dropout=0.0), 16)
    encoder = TransformerEncoder(
        TransformerEncoder.Config(num_layers=1, dim=16, num_heads=2, ffn_dim=16, position_kernel=8, position_groups=4)
    )

    def forward(wavs: torch.Tensor) -> torch.Tensor:
        return encoder(frontend(wavs, None).inputs, None).output

    encoder.eval()
    with formulated_for_cuda(True):
        compiled = torch.compile(forward, fullgraph=True, backend="aot_eager", dynamic=False)
        wavs = torch.randn(2, 4000)
        parameters = [*frontend.parameters(), *encoder.parameters()]
        assert_same(compiled(wavs), forward(wavs), [parameters[0], parameters[-1]])
