"""Attention over a symbolic number of frames in; lowered by inductor with the mend, as PyTorch 2.13 alone does not."""

import pytest
import torch
from lowered import lowering
from torch import Tensor
from torch._inductor import ir
from torch.nn import functional as F

from espnet2.train.inductor_strides import ASKS, compare_strides_by_size

BY_PYTORCH = getattr(ir.Layout, ASKS, None)  # before any test has compiled: then it is mended


def attend(wavs: Tensor) -> Tensor:
    """(batch, samples) -> (batch, 1, frames, 4), windows that look at each other; frames are a sum of the compiler."""
    windows = wavs.unfold(1, 4, 2)[:, None]
    return F.scaled_dot_product_attention(windows, windows, windows, dropout_p=0.1)


def compile_and_call() -> Tensor:
    return torch.compile(attend, fullgraph=True, dynamic=True)(torch.randn(2, 40, requires_grad=True))


def test_the_mend_lowers_what_pytorch_alone_does_not(monkeypatch):
    with lowering() as lowers:
        if torch.__version__.startswith("2.13."):
            monkeypatch.setattr(ir.Layout, ASKS, staticmethod(BY_PYTORCH))  # put back afterwards
            with pytest.raises(torch._dynamo.exc.BackendCompilerFailed, match="Invalid ranges"):
                lowers(compile_and_call)
        compare_strides_by_size()
        assert lowers(compile_and_call)


def test_other_versions_are_left_alone(monkeypatch):
    before = getattr(ir.Layout, ASKS, None)
    monkeypatch.setattr(torch, "__version__", "2.14.0")
    compare_strides_by_size()
    assert getattr(ir.Layout, ASKS, None) is before
