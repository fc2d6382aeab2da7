"""Attention over a symbolic number of frames in; lowered by inductor with the mend, as PyTorch 2.13 alone does not."""

import logging

import pytest
import torch
from torch import Tensor
from torch._inductor import config, ir, output_code
from torch._inductor.async_compile import AsyncCompile
from torch.nn import functional as F

from espnet2.train.inductor_strides import ASKS, compare_strides_by_size


class LoweredError(Exception):
    """Instead of a run of what was lowered."""


def attend(wavs: Tensor) -> Tensor:
    """(batch, samples) -> (batch, 1, frames, 4), windows that look at each other; frames are a sum of the compiler."""
    windows = wavs.unfold(1, 4, 2)[:, None]
    return F.scaled_dot_product_attention(windows, windows, windows, dropout_p=0.1)


@pytest.fixture
def lower(monkeypatch):
    """Lower `attend`, forward and backward, without a C++ compiler."""

    def stop(*arguments: object) -> None:
        raise LoweredError

    monkeypatch.setattr(AsyncCompile, "cpp_pybinding", lambda *arguments: None)
    monkeypatch.setattr(output_code.CompiledFxGraph, "__call__", stop)
    # Else pytest's handler makes torch describe all that it does.
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "propagate", False)
    torch._dynamo.reset()
    with config.patch(force_disable_caches=True):
        yield lambda: torch.compile(attend, fullgraph=True, dynamic=True)(torch.randn(2, 40, requires_grad=True))
    torch._dynamo.reset()


def test_the_mend_lowers_what_pytorch_alone_does_not(lower, monkeypatch):
    if torch.__version__.startswith("2.13."):
        monkeypatch.setattr(ir.Layout, ASKS, staticmethod(getattr(ir.Layout, ASKS)))  # put back afterwards
        with pytest.raises(torch._dynamo.exc.BackendCompilerFailed, match="Invalid ranges"):
            lower()
        torch._dynamo.reset()
    compare_strides_by_size()
    with pytest.raises(LoweredError):
        lower()


def test_other_versions_are_left_alone(monkeypatch):
    before = getattr(ir.Layout, ASKS, None)
    monkeypatch.setattr(torch, "__version__", "2.14.0")
    compare_strides_by_size()
    assert getattr(ir.Layout, ASKS, None) is before
