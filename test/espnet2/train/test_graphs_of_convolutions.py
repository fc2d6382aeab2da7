"""Conformers and subsampling as a GPU's graph: one graph for all lengths, compiled and run, with eager's gradients."""

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model

from espnet2.ssl.modules.formulation import formulated_for_cuda
from espnet2.train.compiled import compile_forward

pytestmark = [pytest.mark.compiler, pytest.mark.timeout(1800)]
CONFORMER = {"encoder": "conformer", "encoder_conf": {"conv_kernel": 5, "conv_norm": "layer", "num_layers": 1}}
CONV2D = {"frontend_conf": {"subsample": "conv2d", "conv2d_channels": 4}, "encoder_conf": {"num_layers": 1}}


@pytest.mark.parametrize("options", [CONFORMER, CONV2D], ids=["conformer", "conv2d"])
def test_all_lengths_share_one_graph(options):
    """With convolutions each number of frames would have its own."""
    torch._dynamo.reset()
    with formulated_for_cuda(True):
        compiled, eager = (tiny_model("hubert", frontend="fbank", **options).train() for _ in range(2))
        compile_forward(compiled, required=True)
        for number, lengths in enumerate([(16000, 12000), (15200, 12000), (17600, 9000), (16160, 12000)]):
            losses = [mean_loss(model, noise_batch(model, lengths, seed=number)) for model in (compiled, eager)]
            for loss in losses:
                loss.backward()
            torch.testing.assert_close(*losses)
    assert compiled.compiled.num_graphs == 1
    gradients = [{name: p.grad for name, p in model.named_parameters()} for model in (compiled, eager)]
    largest = max(float(gradient.abs().max()) for gradient in gradients[1].values() if gradient is not None)
    for name, gradient in gradients[1].items():
        if gradient is not None:
            torch.testing.assert_close(gradients[0][name], gradient, rtol=1e-4, atol=1e-5 * largest)
