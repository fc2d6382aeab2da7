"""Convolutions in three layouts and attention's back ends in; equal values and gradients, and times, out."""

import pytest
import torch
from gpu_kernels import BACKENDS, MASKS, convolutions, time_attention, time_convolutions
from gpu_layouts import LAYOUTS, Convolution
from gpu_timing import median_ms
from gpu_training import TINY, Size
from torch.nn import functional as F

CPU = torch.device("cpu")
SHAPES = [
    Convolution("first of HuBERT", 1, 8, 10, 5, 0, 1, 403, False),
    Convolution("kernel 3, odd", 8, 12, 3, 2, 0, 1, 41, True),
    Convolution("kernel 3, even", 8, 12, 3, 2, 0, 1, 40, True),
    Convolution("kernel 2, odd", 8, 8, 2, 2, 0, 1, 39, True),
    Convolution("two taps left over", 4, 6, 8, 3, 0, 1, 50, True),
    Convolution("positions", 16, 16, 8, 1, 4, 4, 37, True),
    Convolution("positions, odd kernel, other widths", 12, 24, 5, 1, 2, 3, 16, True),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_give_the_same_values_and_gradients(shape: Convolution, layout: str) -> None:
    torch.manual_seed(0)
    values = torch.randn(3, shape.inputs, shape.frames, dtype=torch.float64)
    weight = torch.randn(shape.outputs, shape.inputs // shape.groups, shape.kernel, dtype=torch.float64)
    make, as_channels_first = LAYOUTS[layout]
    forward, leaves = make(shape, values, weight)
    output = as_channels_first(forward())
    values.requires_grad_()
    weight.requires_grad_()
    expected = F.conv1d(values, weight, stride=shape.stride, padding=shape.padding, groups=shape.groups)
    torch.testing.assert_close(output, expected)
    assert expected.abs().max() > 1
    gradient = torch.randn_like(expected)
    inputs = [values, weight] if shape.wants_input else [weight]
    gradients = torch.autograd.grad(expected, inputs, gradient)
    for ours, theirs in zip(torch.autograd.grad(output, leaves, gradient), gradients, strict=True):
        if ours.shape != theirs.shape:
            ours = ours.squeeze(2) if ours.dim() == 4 else ours.transpose(1, 2)
        torch.testing.assert_close(ours, theirs)


def test_the_shapes_are_those_of_the_model() -> None:
    shapes = convolutions(Size())
    assert len(shapes) == 8 and shapes[-1].frames == 781  # 15.6 s at 50 frames per s
    assert [shape.wants_input for shape in shapes] == [False, *[True] * 7]
    assert (shapes[-1].kernel, shapes[-1].groups) == (128, 16)


def test_each_convolution_and_back_end_has_a_time_or_a_reason() -> None:
    rows = time_convolutions(TINY, CPU)
    assert len(rows) == 8 * len(LAYOUTS) and not [row.error for row in rows if row.error]
    assert all(row.forward_ms > 0 and row.backward_ms > 0 and row.difference < 1e-5 for row in rows)
    rows = time_attention(TINY, CPU)
    assert [(row.what, row.how) for row in rows] == [(mask, name) for mask in MASKS for name in BACKENDS]
    assert all((row.forward_ms is None) == (row.error is not None) for row in rows)
    measured = {(row.what, row.how) for row in rows if row.error is None}
    assert {(mask, name) for mask in MASKS for name in ("chosen by PyTorch", "math")} <= measured
    assert any(row.error for row in rows if row.how == "cuDNN")  # a CPU has none


def test_the_median_is_of_a_bounded_number_of_calls() -> None:
    calls = []
    assert median_ms(lambda: calls.append(None), CPU, budget_ms=1e6) >= 0
    assert len(calls) == 52
    calls.clear()
    median_ms(lambda: calls.append(None), CPU, budget_ms=0)
    assert len(calls) == 5
