"""Attention's kernels by device: cuDNN first on Hopper, flash elsewhere, never math; a CPU chooses as before."""

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from espnet2.ssl.modules.attention_backend import ELSEWHERE, ON_HOPPER, attention_backends, fused_attention
from espnet2.train.distributed import process_group

CUDA = torch.device("cuda")


@pytest.mark.parametrize(("capability", "backends"), [((9, 0), ON_HOPPER), ((8, 0), ELSEWHERE), ((10, 0), ELSEWHERE)])
def test_the_order_is_set_and_taken_back(monkeypatch, capability, backends):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    before = _cur_sdpa_kernel_backends(with_priority=True)
    assert SDPBackend.MATH in before
    with fused_attention(CUDA):
        assert tuple(_cur_sdpa_kernel_backends(with_priority=True)) == backends
        assert not torch.backends.cuda.math_sdp_enabled()
    assert _cur_sdpa_kernel_backends(with_priority=True) == before


def test_where_only_the_math_kernel_is_left_it_is_an_error(monkeypatch):
    """On a CPU, flash cannot compute dropout; with math forbidden, PyTorch says that no kernel is left."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    query = torch.randn(1, 2, 4, 8)
    with fused_attention(CUDA), pytest.raises(RuntimeError, match=r"[Nn]o (available|viable)"):
        F.scaled_dot_product_attention(query, query, query, dropout_p=0.1)


def test_a_cpu_chooses_as_before():
    before = _cur_sdpa_kernel_backends(with_priority=True)
    assert attention_backends(torch.device("cpu")) == ()
    with process_group(0):
        assert _cur_sdpa_kernel_backends(with_priority=True) == before


def test_training_on_a_gpu_sets_the_order(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    for name, value in {"device_count": lambda: 1, "set_device": lambda device: None}.items():
        monkeypatch.setattr(torch.cuda, name, value)
    with process_group(1):
        assert _cur_sdpa_kernel_backends(with_priority=True)[0] is SDPBackend.CUDNN_ATTENTION
