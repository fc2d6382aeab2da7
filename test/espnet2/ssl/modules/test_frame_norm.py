"""Norms of frames against torch's, padding, and when batch norm's statistics move."""

import pytest
import torch
from torch import nn

from espnet2.ssl.modules.frame_norm import FrameBatchNorm, FrameGroupNorm, frame_norm


def randomise(norm: nn.Module) -> nn.Module:
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_()
    return norm


@pytest.mark.parametrize("kind", ["batch", "group", "layer"])
def test_padding_is_in_no_statistic(kind):
    norm = randomise(frame_norm(kind, 6))
    x, valid = 3 * torch.randn(2, 20, 6) + 1, torch.arange(20) < torch.tensor([20, 7])[:, None]
    noisy = torch.where(valid[..., None], x, 50.0)
    torch.testing.assert_close(norm(noisy, valid)[valid], norm(x, valid)[valid])
    if kind == "batch":
        expected = nn.functional.batch_norm(x[valid], None, None, norm.weight, norm.bias, training=True)
        torch.testing.assert_close(norm(x, valid)[valid], expected, atol=1e-5, rtol=1e-5)
    elif kind == "group":
        alone = nn.functional.group_norm(x[1:, :7].transpose(1, 2), 1, norm.weight, norm.bias)
        torch.testing.assert_close(norm(x, valid)[1, :7], alone[0].T, atol=1e-5, rtol=1e-5)


def test_batch_norm_is_torchs():
    ours, theirs = randomise(FrameBatchNorm(6)), nn.BatchNorm1d(6)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    for _ in range(3):
        x = 3 * torch.randn(4, 20, 6) + 1
        expected = theirs(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(ours(x, None), expected, atol=1e-5, rtol=1e-5)
        ours.commit()
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x, None), theirs(x.transpose(1, 2)).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_statistics_of_all_micro_batches_count_by_their_frames():
    norm = FrameBatchNorm(3, momentum=1.0)
    x, valid = torch.randn(4, 10, 3) * 2 + 5, torch.arange(10) < torch.tensor([10, 4, 6, 1])[:, None]
    norm(x[:2], valid[:2])
    norm(x[2:], valid[2:])
    assert (norm.running_mean == 0).all() and (norm.running_var == 1).all(), "not in forward"
    norm.commit()
    torch.testing.assert_close(norm.running_mean, x[valid].mean(0))
    torch.testing.assert_close(norm.running_var, x[valid].var(0), atol=1e-4, rtol=1e-4)


def test_forgotten_statistics_and_batches_of_padding_move_nothing():
    norm = FrameBatchNorm(3)
    norm(torch.randn(2, 10, 3), None)
    norm.forget()
    norm.commit()
    assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()
    output = norm(torch.randn(2, 10, 3), torch.zeros(2, 10, dtype=torch.bool))
    norm.commit()
    assert output.isfinite().all() and (norm.running_mean == 0).all() and (norm.running_var == 1).all()


def test_state_is_the_running_statistics_and_the_weights():
    assert sorted(FrameBatchNorm(3).state_dict()) == ["bias", "running_mean", "running_var", "weight"]
    assert sorted(FrameGroupNorm(3).state_dict()) == ["bias", "weight"]


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_statistics_are_float32_under_autocast(kind):
    norm = frame_norm(kind, 4)
    x = (1000 + torch.randn(2, 50, 4)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = norm(x, None).detach()
    assert output.dtype == torch.bfloat16 and output.float().std().item() == pytest.approx(1, abs=0.1)
