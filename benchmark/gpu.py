"""One GPU in; a JSON file and Markdown tables of why and how fast it trains, k-means, features, NaN and resume, out.

    python benchmark/gpu.py                              # at most eight minutes; what `make bench-gpu` runs
    python benchmark/gpu.py --tiny                       # the same code with a tiny model on a CPU
    python benchmark/gpu.py --only profile,attention     # some sections; --skip leaves some out

PyTorch is all that must be installed, with torchaudio, transformers and numpy; tools/carry_wheels.sh brings the rest.
Results are written after each section. A section that fails, or has no time left, is named; the others run.
"""

import argparse
import gc
import platform
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import carried  # noqa: F401 - first: it puts the toolkit and what it needs on the path
import torch
from gpu_report import as_markdown
from gpu_sections import JSON, SECTIONS, Bench
from gpu_training import SAMPLE_RATE, TINY, Size

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write, write_json

MAXIMUM_SECONDS = 480.0


class OutOfTime(BaseException):
    """Raised by the alarm; no `except Exception` of a library may swallow it."""


@dataclass
class Results:
    """What gpu.json holds."""

    device: str
    torch: str
    python: str
    batch: str
    wall_seconds: float = 0.0
    sections: dict[str, JSON] = field(default_factory=dict)
    section_seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # section -> why there is no result

    def write(self, output: Path) -> None:
        """gpu.json and gpu.md, whole or not at all."""
        write_json(output / "gpu.json", vars(self))
        with atomic_write(output / "gpu.md") as stream:
            stream.write(as_markdown(self))


def main() -> int:
    """Entry point; the exit status is 1 if a section failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU: tests the code, measures nothing")
    parser.add_argument("--output", type=Path, default=Path("benchmark/results"), help="folder for gpu.json and gpu.md")
    known = f"names with commas between them, of: {', '.join(SECTIONS)}"
    parser.add_argument("--only", default="", help=f"sections to run: {known}")
    parser.add_argument("--skip", default="", help="sections to leave out, likewise")
    parser.add_argument("--max_seconds", type=float, default=MAXIMUM_SECONDS, help="of all sections (default: 480)")
    arguments = parser.parse_args()
    sections = chosen_sections(arguments.only, arguments.skip)
    if not arguments.tiny and not torch.cuda.is_available():
        raise UserError(f"PyTorch {torch.__version__} sees no GPU; --tiny runs the same code on the CPU")
    device = torch.device("cpu" if arguments.tiny else "cuda")
    size = TINY if arguments.tiny else Size()
    batch = f"{size.batch_size} x {size.num_samples / SAMPLE_RATE:.1f} s"
    results = Results(device_name(device), torch.__version__, platform.python_version(), batch)
    run_sections(sections, Bench(size, device, arguments.output), results, arguments.max_seconds)
    print(as_markdown(results))
    return 1 if results.failed else 0


def chosen_sections(only: str, skip: str) -> list[str]:
    """Names of sections in their order.

    Raises:
        UserError: a name is unknown, or none is left.
    """
    named, left_out = ([name.strip() for name in words.split(",") if name.strip()] for words in (only, skip))
    unknown = [name for name in [*named, *left_out] if name not in SECTIONS]
    if unknown:
        raise UserError(f"no section is called {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    chosen = [name for name in SECTIONS if (not named or name in named) and name not in left_out]
    if not chosen:
        raise UserError("--only and --skip leave no section to run")
    return chosen


def run_sections(names: list[str], bench: Bench, results: Results, max_seconds: float) -> None:
    """Run each, whatever happens to the others, and write after each."""
    started = time.monotonic()
    for name in names:
        left = max_seconds - (time.monotonic() - started)
        section_started = time.monotonic()
        if left <= 0:
            results.failed[name] = f"not begun: the {max_seconds:.0f} s of --max_seconds were over"
        else:
            print(f"# {name} ...", flush=True)
            try:
                with alarm(left):
                    results.sections[name] = SECTIONS[name](bench)
            except OutOfTime:
                results.failed[name] = f"stopped: the {max_seconds:.0f} s of --max_seconds were over"
            except Exception:
                results.failed[name] = traceback.format_exc()
        if name in results.failed:
            print(f"# {name}: {results.failed[name]}", file=sys.stderr, flush=True)
        results.section_seconds[name] = round(time.monotonic() - section_started, 1)
        results.wall_seconds = round(time.monotonic() - started, 1)
        results.write(bench.output)
        gc.collect()  # a failed section's tensors hang on its frames
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` inside after some seconds; a call into a library ends first."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


if __name__ == "__main__":
    run_main(main)
