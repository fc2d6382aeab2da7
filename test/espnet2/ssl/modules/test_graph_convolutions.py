"""Convolutions as a graph for CUDA writes them: values and gradients of PyTorch's own, in conformers, too."""

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model

from espnet2.ssl.modules.depthwise import DepthwiseConv
from espnet2.ssl.modules.formulation import formulated_for_cuda
from espnet2.ssl.modules.subsample import ConvSubsample


@pytest.fixture
def in_graph(monkeypatch):
    """Sets whether modules believe that they are compiled for CUDA."""

    def set_to(is_compiling: bool) -> None:
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: is_compiling)

    with formulated_for_cuda(True):
        yield set_to


def values_and_gradients(module, arguments, direction=None):
    """The output, and the gradients of a random direction in the first argument and the weights."""
    output = module(*arguments)
    torch.manual_seed(1)
    inputs = [arguments[0], *module.parameters()]
    return output, *torch.autograd.grad(output, inputs, torch.randn(output.shape, dtype=output.dtype))


@pytest.mark.parametrize("num_frames", [1, 2, 7, 40])
@pytest.mark.parametrize(
    ("kernel", "causal", "bias"), [(1, False, True), (5, False, True), (31, False, False), (5, True, True)]
)
def test_depthwise(in_graph, kernel, causal, bias, num_frames):
    torch.manual_seed(0)
    module = DepthwiseConv(6, kernel, causal=causal, bias=bias).double()
    x = torch.randn(3, num_frames, 6, dtype=torch.float64, requires_grad=True)
    valid = torch.arange(num_frames) < torch.tensor([[num_frames], [max(1, num_frames - 3)], [1]])
    for mask in (None, valid):
        in_graph(False)
        expected = values_and_gradients(module, (x, mask))
        in_graph(True)
        ours = values_and_gradients(module, (x, mask))
        assert ours[0].shape == x.shape
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("num_frames", [7, 8, 9, 10, 33])
@pytest.mark.parametrize("num_bins", [7, 20])
def test_subsampling(in_graph, num_frames, num_bins):
    torch.manual_seed(0)
    module = ConvSubsample(4).double()
    x = torch.randn(3, num_frames, num_bins, dtype=torch.float64, requires_grad=True)
    in_graph(False)
    expected = values_and_gradients(module, (x,))
    in_graph(True)
    ours = values_and_gradients(module, (x,))
    assert ours[0].size(2) == module.output_dim(num_bins)
    torch.testing.assert_close(ours, expected)


def test_bf16_is_added_up_in_float32(in_graph):
    """A sum of 31 products in bf16 would be off by a percent."""
    torch.manual_seed(0)
    module = DepthwiseConv(64, 31).bfloat16()
    x = torch.randn(2, 50, 64).bfloat16()
    in_graph(True)
    exact = module.double()(x.double())
    error = (module.bfloat16()(x).double() - exact).norm() / exact.norm()
    assert error < 0.004  # half of the distance between two bf16 values is 2^-9 of them


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "conformer", "encoder_conf": {"conv_kernel": 5, "conv_norm": "batch"}},
        {"encoder": "conformer", "encoder_conf": {"conv_kernel": 5, "conv_norm": "layer"}},
        {"encoder": "e_branchformer"},
        {"frontend": "fbank", "frontend_conf": {"subsample": "conv2d", "conv2d_channels": 4}},
    ],
    ids=str,
)
def test_a_model_has_the_same_loss_and_gradients(in_graph, options):
    """Padded, too: what stands in the padding touches nothing."""
    results = []
    for is_compiling in (False, True):
        in_graph(is_compiling)
        model = tiny_model("hubert", **options).train()
        loss = mean_loss(model, noise_batch(model, (16000, 12000)))
        loss.backward()
        results.append((loss.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)
