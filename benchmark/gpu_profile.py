"""One update of a trainer in; its kernels by time, and a trace, out: why training is as fast as it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_timing import synchronize
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

SHOWN_KERNELS = 20
SHOWN_CHARACTERS = 100  # of a kernel's name


@dataclass(frozen=True)
class Kernel:
    """All calls of one kernel in an update; on a CPU, of one operator."""

    name: str
    calls: int
    total_ms: float
    share: float  # of the time of all kernels


@dataclass(frozen=True)
class UpdateProfile:
    """Where the time of one update goes."""

    device: str  # cuda or cpu
    num_calls: int  # of all kernels
    kernels_ms: float  # of all kernels together
    span_ms: float  # from the start of the first to the end of the last; the rest is idle, or kernels side by side
    kernels: list[Kernel]  # the longest
    trace: str  # its file, for chrome://tracing or ui.perfetto.dev


def profile_update(update: Callable[[int], object], device: torch.device, trace: Path) -> UpdateProfile:
    """Profile the third call of an update, whose kernels have been chosen by then.

    Args:
        update: gets the number of the call.
        device: what it computes on.
        trace: the file to write, .json or .json.gz.
    """
    for number in range(2):
        update(number)
    synchronize(device)
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        update(2)
        synchronize(device)
    trace.parent.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(trace))
    return summarize_profile(profiler, device.type, trace)


def summarize_profile(profiler: profile, device_type: str, trace: Path) -> UpdateProfile:
    """The longest kernels (on a CPU: operators, without those that they call) of a finished profile."""
    on_gpu = device_type == "cuda"
    kind = DeviceType.CUDA if on_gpu else DeviceType.CPU
    rows, starts, ends = [], [], []
    for event in profiler.events():
        if event.device_type == kind and not event.is_user_annotation:
            starts.append(event.time_range.start)
            ends.append(event.time_range.end)
    for event in profiler.key_averages():
        if event.device_type == kind and not event.is_user_annotation:
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            rows.append((event.key, event.count, spent / 1000))
    if not rows:
        raise RuntimeError("the profiler recorded no kernel (CUPTI may be missing, or in use by another program)")
    rows.sort(key=lambda row: -row[2])
    total = sum(spent for _, _, spent in rows)
    kernels = [
        Kernel(name[:SHOWN_CHARACTERS], calls, spent, spent / total if total else 0.0)
        for name, calls, spent in rows[:SHOWN_KERNELS]
    ]
    span_ms = (max(ends) - min(starts)) / 1000
    return UpdateProfile(device_type, sum(row[1] for row in rows), total, span_ms, kernels, trace.name)
