"""`attention_kernel`: refused where it cannot be, as before where it does not run, and counted where it is traced."""

import pytest
import torch
from tiny_model import ENCODER, tiny_config
from torch import Tensor

from espnet2.ssl.encoder.base import require_keep
from espnet2.ssl.encoder.conformer import ConformerEncoder
from espnet2.ssl.encoder.transformer import TransformerEncoder
from espnet2.ssl.kernels.attention import attend
from espnet2.ssl.modules import position_kernel
from espnet2.ssl.modules.alibi import Alibi
from espnet2.ssl.modules.gated_relative import BucketTable, offset_buckets
from espnet2.ssl.modules.position_kernel import kernel_position, runs_kernel
from espnet2.utils.errors import UserError


def make(**conf: object) -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder(TransformerEncoder.Config(**(ENCODER | conf)))


@pytest.mark.parametrize("position", ["none", "relative", "relative_key"])
def test_other_positions_are_refused(position):
    with pytest.raises(ValueError, match=f"attention_position is {position}; the kernel makes biases of alibi and"):
        ConformerEncoder.Config(attention_position=position, attention_kernel="triton")


def test_a_config_says_it_in_one_line():
    with pytest.raises(UserError, match="attention_kernel is triton, but attention_position is none"):
        tiny_config("hubert", encoder_conf={"attention_kernel": "triton"})


def test_wide_heads_are_refused():
    with pytest.raises(ValueError, match="num_heads 2 is above 128"):
        make(dim=512, attention_position="alibi", attention_kernel="triton")


def test_gated_relative_needs_all_frames():
    encoder = make(attention_position="gated_relative", attention_kernel="triton")
    with pytest.raises(UserError, match=r"loss \(data2vec2\): .* set encoder_conf: attention_kernel to sdpa"):
        require_keep(encoder, "loss (data2vec2)")
    require_keep(make(attention_position="alibi", attention_kernel="triton"), "loss (data2vec2)")


def test_without_triton_a_gpu_refuses_by_name(monkeypatch):
    monkeypatch.setattr(position_kernel, "HAS_TRITON", False)
    assert not runs_kernel(torch.device("cpu"))
    with pytest.raises(UserError, match="package triton is not installed"):
        runs_kernel(torch.device("cuda"))
    monkeypatch.setattr(position_kernel, "HAS_TRITON", True)
    assert runs_kernel(torch.device("cuda"))


@pytest.mark.parametrize("position", ["alibi", "gated_relative"])
def test_a_cpu_computes_as_before_to_the_bit(position):
    encoders = [make(attention_position=position, attention_kernel=kernel) for kernel in ("sdpa", "triton")]
    x, lengths = torch.randn(2, 15, 16), torch.tensor([15, 9])
    first, second = (encoder.eval()(x, lengths).output for encoder in encoders)
    assert torch.equal(first, second)
    assert list(encoders[0].state_dict()) == list(encoders[1].state_dict())


def test_what_the_kernel_is_given():
    table, keep = BucketTable(2, 16, 12), torch.tensor([[1, 4, 9], [0, 2, -1]])
    position = kernel_position(table, None, 10, None, 1)
    assert position.positions is None and position.num_prefixes == 1 and position.slopes is None
    offsets = torch.arange(-75, 76)  # of 11 frames, and as many as may lie behind the last one in its tile
    assert torch.equal(position.row, table.table[offset_buckets(offsets, 16, 12)].T)
    alibi = Alibi(2, learned_scale=True)
    position = kernel_position(alibi, keep >= 0, 10, keep, 1)
    assert position.positions.tolist() == [[0, 1, 4, 9], [0, 0, 2, 0]] and position.positions.dtype == torch.int32
    assert torch.equal(position.slopes, alibi.slopes) and position.row is None


def test_the_operator_has_shapes_and_gradients_without_triton():
    heads = torch.empty(2, 7, 3, 4, 16, device="meta", dtype=torch.bfloat16).permute(2, 0, 3, 1, 4)
    query, key, value = (x.requires_grad_() for x in heads)
    weight: Tensor = torch.empty(2, 4, 7, device="meta", requires_grad=True)
    row = torch.empty(4, 2 * 71 + 1, device="meta", requires_grad=True)
    output, log_sums = attend(query, key, value, weight, row, None, None, None, 0, 0.0)
    assert output.shape == query.shape and output.transpose(1, 2).is_contiguous() and output.dtype == torch.bfloat16
    assert log_sums.shape == (2, 4, 7) and not log_sums.requires_grad
    gradients = torch.autograd.grad(output.float().sum(), [query, key, value, weight, row])
    assert [x.shape for x in gradients] == [query.shape] * 3 + [weight.shape, row.shape]
    assert [x.dtype for x in gradients] == [torch.bfloat16] * 3 + [torch.float32] * 2
