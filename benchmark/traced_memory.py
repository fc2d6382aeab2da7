"""Configs in; the peak memory of a training update, and how much audio a GPU of some memory can hold, out; no GPU.

    python benchmark/traced_memory.py                                # every full-size config of the template
    python benchmark/traced_memory.py conf/train_mine.yaml           # some

Traced on fake tensors, eager, in bf16: memory of tensors, as CUDA's allocator would be asked for it. Clips are as long
as the config lets them be, at most 16 s. The peak grows with the number of clips; two traces give the line.
"""

import argparse
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import carried  # noqa: F401 - first: it puts the toolkit and what it needs on the path
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from traced_model import SAMPLE_RATE, Shape, TracedUpdate, tracing
from traced_step import BASE, traced_config

from espnet2.tasks.config import SSLConfig
from espnet2.utils.errors import run_main

DEVICES_GB = (24, 40, 80, 141)  # RTX 4090, A100 40 GB, A100 and H100, H200
# Of a device's memory, for tensors: CUDA's context and libraries take about 1 GB, and blocks of varied lengths do not
# fill their pages. What PyTorch's allocator reserves is more than what is allocated.
USABLE = 0.85
LONGEST_CLIP = 16.0  # s


class PeakMemory(TorchDispatchMode):
    """Inside, storages are followed from the operator that makes them until nothing holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        self.add(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Follow tensors that are there already."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                weakref.finalize(storage, self._freed, storage._cdata, storage.nbytes())
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


class Memory(NamedTuple):
    """Of one update."""

    fixed: float  # bytes: weights, gradients, moments, and what does not grow with the clips
    per_clip: float  # bytes
    clip_seconds: float

    def peak(self, seconds: float) -> float:
        """Bytes for so much audio in a micro-batch."""
        return self.fixed + self.per_clip * seconds / self.clip_seconds

    def fitting_seconds(self, device_gb: float) -> float:
        """Audio of the largest micro-batch of whole clips that fits into so much memory; 0: not one clip."""
        clips = max(0, int((device_gb * 1e9 * USABLE - self.fixed) / self.per_clip))
        return clips * self.clip_seconds


def peak_bytes(config: SSLConfig, shape: Shape) -> int:
    """Of one update after the first."""
    with tracing():
        update = TracedUpdate(config, shape)
        update()
        state = [leaf for leaf in tree_leaves(update.updater.optimizer.state) if isinstance(leaf, Tensor)]
        held = [*update.model.parameters(), *update.model.buffers(), *state]
        with PeakMemory() as memory:
            memory.add([*held, *(leaf for leaf in tree_leaves(update.tensors()) if isinstance(leaf, Tensor))])
            update()
    return memory.peak


def update_memory(config: SSLConfig, clips: tuple[int, int] = (2, 6)) -> Memory:
    """The line through two traces."""
    seconds = min(config.max_seconds, LONGEST_CLIP)
    few, many = (peak_bytes(config, Shape(number, seconds)) for number in clips)
    per_clip = (many - few) / (clips[1] - clips[0])
    return Memory(few - clips[0] * per_clip, per_clip, seconds)


def row(name: str, config: SSLConfig, memory: Memory) -> str:
    """One line of the table."""
    shipped = min(config.max_bins_per_gpu or config.batch_bins, config.batch_bins) / SAMPLE_RATE
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
