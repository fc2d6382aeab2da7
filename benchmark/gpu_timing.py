"""A function and a device in; the median of its running times out, from a cold L2 cache on a GPU."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

FLUSH_BYTES = 256 * 2**20  # over the L2 cache of any GPU (H200: 50 MB), as triton.testing.do_bench writes between runs
MINIMUM_RUNS, MAXIMUM_RUNS = 3, 50


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_ms(function: Callable[[], object], device: torch.device, *, budget_ms: float = 60.0) -> float:
    """Median time of a call in ms: on a GPU between two events of its own clock, on a CPU of the wall clock.

    Args:
        function: called twice to warm up, then as often as the budget allows, 3 to 50 times.
        device: what it computes on.
        budget_ms: of all timed calls together.
    """
    function()  # kernels are chosen and compiled here
    synchronize(device)
    started = time.perf_counter()
    function()
    synchronize(device)
    one_ms = 1000 * (time.perf_counter() - started)
    runs = round(min(MAXIMUM_RUNS, max(MINIMUM_RUNS, budget_ms / max(one_ms, 1e-3))))
    if device.type == "cuda":
        return statistics.median(_events_ms(function, device, runs))
    return statistics.median(_wall_ms(function) for _ in range(runs))


def _events_ms(function: Callable[[], object], device: torch.device, runs: int) -> list[float]:
    flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device=device)
    pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(runs)]
    for before, after in pairs:
        flush.zero_()
        before.record()
        function()
        after.record()
    synchronize(device)
    return [before.elapsed_time(after) for before, after in pairs]


def _wall_ms(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def forward_and_backward_ms(
    forward: Callable[[], Tensor], inputs: list[Tensor], device: torch.device
) -> tuple[float, float]:
    """Median times in ms of a function, and of the gradients of its output with regard to its inputs."""
    forward_ms = median_ms(forward, device)
    output = forward()
    gradient = torch.randn_like(output)
    return forward_ms, median_ms(lambda: torch.autograd.grad(output, inputs, gradient, retain_graph=True), device)
