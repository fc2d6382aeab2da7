"""Some updates of a training in; a trace of PyTorch's profiler and a table of kernels, gaps and waits out."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write
from espnet2.utils.show import table_row

MAX_UPDATES = 100  # a trace of more takes gigabytes, and no viewer opens it
SHOWN_KERNELS = 20
SHOWN_CHARACTERS = 90  # of a kernel's name


class ProfileWindow(NamedTuple):
    """The updates to look at, 1-based, both included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> "ProfileWindow":
        """From "N:M".

        Raises:
            UserError: anything else, or too many updates.
        """
        numbers = re.fullmatch(r"(\d+):(\d+)", text)
        first, last = (int(number) for number in numbers.groups()) if numbers else (0, 0)
        if not 1 <= first <= last:
            raise UserError(f"--profile {text}: expected two updates, the first and the last, such as 20:25")
        if last - first >= MAX_UPDATES:
            raise UserError(f"--profile {text}: {last - first + 1} updates; {MAX_UPDATES} at most fit into a trace")
        return cls(first, last)


class Kernel(NamedTuple):
    """All calls of one kernel; on a CPU, of one operator without those that it calls."""

    name: str
    calls: int
    milliseconds: float


class ProfileFigures(NamedTuple):
    """What the profiled updates took together; times in ms."""

    updates: int
    wall: float  # what happened between the updates included, such as a validation
    busy: float  # at least one kernel ran
    longest_gap: float  # between two kernels
    loader: float  # the training waited for a batch
    calls: int  # of all kernels
    kernels: Sequence[Kernel]  # the longest first


class UpdateProfiler:
    """Told of every update and every wait of a training, it profiles those of its window.

    Args:
        folder: gets updates_N-M.json.gz (for ui.perfetto.dev) and updates_N-M.md.
        tell: gets a line for the log.
    """

    def __init__(
        self, window: ProfileWindow, device: torch.device, folder: Path, tell: Callable[[str], object]
    ) -> None:
        self.window, self.device, self.folder, self.tell = window, device, folder, tell
        self._profile: profile | None = None
        self._started = self._waited = 0.0
        self._updates: list[int] = []
        self._done = False

    def before_update(self, update: int) -> None:
        """Start or end here; `update` (1-based) comes next. One that is skipped comes again under its number."""
        if self._profile is not None and update > self.window.last:
            self._finish()
        if self._profile is None and not self._done and self.window.first <= update <= self.window.last:
            self._begin()
        if self._profile is not None:
            self._updates.append(update)

    def waited(self, seconds: float) -> None:
        """So long the training waited for a batch."""
        self._waited += seconds

    def close(self) -> None:
        """At the end of the training, however it ends."""
        if self._profile is not None:
            self._finish()
        elif not self._done:
            self.tell(f"profile: updates {self.window.first} to {self.window.last} were not computed in this start")

    def _begin(self) -> None:
        activities = [ProfilerActivity.CPU]
        if self.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._synchronize()
        self._profile = profile(activities=activities)
        self._profile.__enter__()
        self._started, self._waited, self._updates = time.monotonic(), 0.0, []

    def _finish(self) -> None:
        profiled, self._profile, self._done = self._profile, None, True
        assert profiled is not None
        self._synchronize()
        wall = 1000 * (time.monotonic() - self._started)
        profiled.__exit__(None, None, None)
        name = f"updates_{self._updates[0]}-{self._updates[-1]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        trace = self.folder / f"{name}.json.gz"
        profiled.export_chrome_trace(str(trace))
        figures = read_figures(profiled, self.device, len(self._updates), wall=wall, loader=1000 * self._waited)
        with atomic_write(self.folder / f"{name}.md") as stream:
            stream.write(as_table(figures, name.replace("_", " "), self.device, trace))
        self.tell(f"profile: {one_line(figures)}; {self.folder / name}.md")

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def read_figures(
    profiled: profile, device: torch.device, updates: int, *, wall: float, loader: float
) -> ProfileFigures:
    """Figures of a finished profile; `wall` and `loader` in ms."""
    on_gpu = device.type == "cuda"
    kind = DeviceType.CUDA if on_gpu else DeviceType.CPU
    spans, kernels = [], []
    for event in profiled.events() or []:
        if event.device_type == kind and not event.is_user_annotation:
            spans.append((event.time_range.start / 1000, event.time_range.end / 1000))
    for event in profiled.key_averages():
        if event.device_type == kind and not event.is_user_annotation:
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            kernels.append(Kernel(event.key, event.count, spent / 1000))
    busy, longest_gap = measure_gaps(spans)
    kernels.sort(key=lambda kernel: -kernel.milliseconds)
    return ProfileFigures(updates, wall, busy, longest_gap, loader, sum(kernel.calls for kernel in kernels), kernels)


def measure_gaps(spans: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Starts and ends in any order -> how long at least one of them runs, and the longest time between two.

    >>> measure_gaps([(0, 2), (1, 3), (7, 8), (3.5, 4)])
    (4.5, 3)
    """
    busy = longest = 0.0
    reached: float | None = None
    for start, end in sorted(spans):
        if reached is not None:
            longest = max(longest, start - reached)
        busy += max(0.0, end - (start if reached is None else max(start, reached)))
        reached = end if reached is None else max(reached, end)
    return busy, longest


def one_line(figures: ProfileFigures) -> str:
    """For the log."""
    count = figures.updates
    busy, waits = (100 * part / max(figures.wall, 1e-9) for part in (figures.busy, figures.loader))
    return (
        f"{count} updates of {figures.wall / count:.1f} ms, kernels run in {busy:.1f} % of it "
        f"({figures.calls / count:.0f} an update), the loader is waited for in {waits:.1f} %"
    )


def as_table(figures: ProfileFigures, title: str, device: torch.device, trace: Path) -> str:
    """Markdown."""
    count = figures.updates
    what = "kernels" if device.type == "cuda" else "operators"
    rows = [
        ("wall", figures.wall / count),
        (f"at least one of the {what} runs", figures.busy / count),
        ("none runs", (figures.wall - figures.busy) / count),
        ("longest time between two", figures.longest_gap),
        ("the training waits for the loader", figures.loader / count),
    ]
    lines = [f"# Profile of {title}", "", f"{figures.calls / count:.0f} {what} an update. Trace: {trace.name}", ""]
    lines += ["| of an update | ms |", "|---|--:|", *(table_row([name, f"{value:.3f}"]) for name, value in rows), ""]
    lines += [f"| {what} | calls an update | ms an update | share |", "|---|--:|--:|--:|"]
    total = sum(kernel.milliseconds for kernel in figures.kernels)
    for kernel in figures.kernels[:SHOWN_KERNELS]:
        share = 100 * kernel.milliseconds / total if total else 0.0
        cells = [f"{kernel.calls / count:.1f}", f"{kernel.milliseconds / count:.3f}", f"{share:.1f} %"]
        lines.append(table_row([f"`{kernel.name[:SHOWN_CHARACTERS]}`", *cells]))
    return "\n".join(lines) + "\n"
