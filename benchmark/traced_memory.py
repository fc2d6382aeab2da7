"""Configs in; the peak memory of a training update, and how much audio a GPU of some memory can hold, out; no GPU.

    python benchmark/traced_memory.py                                # every full-size config of the template
    python benchmark/traced_memory.py conf/train_mine.yaml           # some

Traced on fake tensors, eager, in bf16: memory of tensors, as CUDA's allocator would be asked for it. Clips are as long
as the config lets them be, at most 16 s. The peak grows with the number of clips; two traces give the line.
"""

import argparse
from pathlib import Path

import carried  # noqa: F401 - first: it puts the toolkit and what it needs on the path
from traced_model import SAMPLE_RATE, Shape, traced_update
from traced_step import BASE, traced_config

from espnet2.tasks.config import SSLConfig
from espnet2.train.peak_memory import Memory, memory_line, traced_peak
from espnet2.utils.errors import run_main

DEVICES_GB = (24, 40, 80, 141)  # RTX 4090, A100 40 GB, A100 and H100, H200
LONGEST_CLIP = 16.0  # s


def peak_bytes(config: SSLConfig, shape: Shape) -> int:
    """Of one update after the first."""
    return traced_peak(lambda: traced_update(config, shape))


def update_memory(config: SSLConfig, clips: tuple[int, int] = (2, 6)) -> Memory:
    """The line through two traces."""
    seconds = min(config.max_seconds, LONGEST_CLIP)
    return memory_line({number: peak_bytes(config, Shape(number, seconds)) for number in clips}, seconds)


def row(name: str, config: SSLConfig, memory: Memory) -> str:
    """One line of the table."""
    bound = config.max_bins_per_gpu if isinstance(config.max_bins_per_gpu, int) else config.batch_bins
    shipped = min(bound, config.batch_bins) / SAMPLE_RATE
    fitting = " | ".join(f"{memory.fitting_seconds(device):,.0f}" for device in DEVICES_GB)
    peak = memory.peak(shipped) / 1e9
    return f"| `{name}` | {memory.fixed / 1e9:.1f} | {shipped:,.0f} | {peak:.1f} | {fitting} |"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=Path, help="YAML files (default: those of the template but mini)")
    chosen = parser.parse_args().configs
    configs = chosen or [path for path in sorted(BASE.parent.glob("train_*.yaml")) if "mini" not in path.name]
    fits = " | ".join(f"{device} GB" for device in DEVICES_GB)
    print(f"| config | fixed, GB | `max_bins_per_gpu`, s | its peak, GB | {fits} |")
    print("|---|--:|--:|--:|" + "--:|" * len(DEVICES_GB), flush=True)
    for path in configs:
        config = traced_config(path)
        print(row(path.stem.removeprefix("train_"), config, update_memory(config)), flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
