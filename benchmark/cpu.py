"""Nothing in; the time of one HuBERT update on this CPU out: ours, transformers' and torchaudio's, in fp32 and bf16.

    python benchmark/cpu.py                          # mini and Base, as many threads as cores
    python benchmark/cpu.py --sizes base --num_threads 1 --rounds 10

All take the same batches. They are timed in turn, one update each, so that whatever else the machine does meets all
alike; the lowest time counts, and the median is beside it. bf16 is left out where this CPU has no units for it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
from gpu_training import Ours, Size, Torchaudio, Transformers

from espnet2.train.precision import has_matrix_units
from espnet2.utils.errors import UserError, run_main

CPU = torch.device("cpu")
SIZES = {
    "mini": Size(3, 192, 3, 768, 64, 32, 16, 4, 40_000),  # conf/train_hubert_mini_conv.yaml
    "base": Size(batch_size=2, num_samples=128_000),
    "tiny": Size(2, 32, 2, 64, 16, 16, 4, 2, 16_000),  # for the test
}
OURS = "here"

Update = Callable[[int], object]


def contestants(size: Size) -> dict[str, Update]:
    """Who takes part, by the words of the table."""
    taking_part: dict[str, Update] = {}
    for dtype in ("fp32", *(["bf16"] if has_matrix_units() else [])):
        taking_part[f"{OURS}, {dtype}"] = Ours(size, CPU, dtype=dtype, grad_clip=10.0)
        for name, make in (("transformers", Transformers), ("torchaudio", Torchaudio)):
            theirs = make(size, CPU)
            theirs.half = dtype == "bf16"
            taking_part[f"{name}, {dtype}"] = theirs
    return taking_part


def measure(updates: dict[str, Update], rounds: int) -> dict[str, list[float]]:
    """Seconds of each update of each; the first one of each, which allocates, is not among them."""
    seconds: dict[str, list[float]] = {name: [] for name in updates}
    for number in range(rounds + 1):
        for name, update in updates.items():
            started = time.perf_counter()
            update(number)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def as_markdown(label: str, size: Size, seconds: dict[str, list[float]]) -> str:
    """One table: who, the lowest and the median time, audio per second, and how much quicker than transformers."""
    audio = size.batch_size * size.num_samples / 16_000
    lines = [
        f"{label}: {size.batch_size} x {size.num_samples / 16_000:g} s, {torch.get_num_threads()} threads",
        "",
        "| | ms per update, lowest | median | s of audio per s | transformers' fp32 takes |",
        "|---|--:|--:|--:|--:|",
    ]
    theirs = min(seconds["transformers, fp32"])
    for name, times in seconds.items():
        lowest = min(times)
        lines.append(
            f"| {name} | {1000 * lowest:.0f} | {1000 * statistics.median(times):.0f} | {audio / lowest:.3g} | "
            f"{theirs / lowest:.2f} times as long |"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="mini base", help=f"some of {', '.join(SIZES)} (%(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="updates of each that are timed (%(default)s)")
    parser.add_argument("--num_threads", type=int, default=len(os.sched_getaffinity(0)), help="(%(default)s)")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.num_threads < 1:
        raise UserError("--rounds and --num_threads: expected 1 or more")
    torch.set_num_threads(arguments.num_threads)
    for label in arguments.sizes.split():
        if label not in SIZES:
            raise UserError(f"--sizes: there is no '{label}'; expected some of {', '.join(SIZES)}")
        size = SIZES[label]
        print(as_markdown(label, size, measure(contestants(size), arguments.rounds)), end="\n\n", flush=True)


if __name__ == "__main__":
    run_main(main)
