"""Efficiency of HuBERT Base's training on 8 to 64 GPUs over two networks, computed, without any GPU.

    python benchmark/scaling.py                                      # the table of doc/clusters.md
    python benchmark/scaling.py --speed 6000                         # of a faster GPU, or step

Seconds of audio per second of one GPU come from `traced_step.py`, evenness from the sampler on lengths like those of
LibriSpeech, times of reductions from their bytes and the bandwidth. Nothing of it was measured on GPUs.
"""

import argparse
from dataclasses import dataclass

import carried  # noqa: F401 - first: it puts the toolkit and what it needs on the path
import numpy as np
from numpy.typing import NDArray

from espnet2.data.even import evenness
from espnet2.data.sampler import Sampler
from espnet2.utils.errors import run_main

SAMPLE_RATE = 16000
UPDATE_SECONDS = 2800.0  # of audio: HuBERT Base (paper, section 4.2)
LARGEST_MICRO_BATCH = 350.0  # s: train_hubert_base.yaml
PARAMETERS = 94.7e6
GPUS_PER_NODE = 8
NVLINK = 350e9  # bytes/s that an all-reduce reaches inside a node, of 450 each way (H100, NVLink 4)
NETWORKS = {"8 x 400 Gb/s per node": 300e9, "1 x 100 Gb/s per node": 11e9}  # bytes/s of a node
LAUNCH = 0.012  # s of host time to launch a micro-batch of HuBERT Base (audit: 10 to 11 ms with tiny widths)
HIDDEN = 0.6  # of a micro-batch's time that reductions can hide behind: the backward pass
READ_GAP = 0.003  # s that the device waits where the flags of an update are read before its step
SMALL_SUMS = 0.0005  # s: the two small reductions of an update


@dataclass(frozen=True)
class Setting:
    """What a config chooses."""

    name: str
    even: bool
    late: bool
    gradient_bytes: int  # of a parameter


SETTINGS = (
    Setting("as shipped", even=False, late=True, gradient_bytes=4),
    Setting("`sampling: even`", even=True, late=True, gradient_bytes=4),
    Setting("and `grad_reduction: bf16`", even=True, late=True, gradient_bytes=2),
)


def librispeech_lengths(num_utterances: int = 281_241) -> NDArray[np.int64]:
    """(utterances,) samples: 62 % around 14.3 s, the others from 1.3 to 14 s."""
    random = np.random.default_rng(0)
    whole = random.random(num_utterances) < 0.62
    long, short = random.normal(14.3, 1.1, num_utterances).clip(8, 24), random.uniform(1.3, 14, num_utterances)
    return (np.where(whole, long, short) * SAMPLE_RATE).astype(np.int64)


def rank_evenness(lengths: NDArray[np.int64], gpus: int, *, even: bool) -> float:
    """Mean over largest cost of the micro-batches that ranks compute side by side, in one pass."""
    micro = -(-UPDATE_SECONDS / gpus // LARGEST_MICRO_BATCH)
    sampler = Sampler(
        lengths,
        shard_samples=round(UPDATE_SECONDS / gpus / micro * SAMPLE_RATE),
        max_samples=250_000,
        min_samples=32_000,
        crop="shortest",
        hop_samples=320,
        even_group=int(gpus * micro) if even else None,
    )
    plan = sampler.plan(0)
    costs = (np.diff(plan.starts) * plan.num_samples)[plan.sequence]
    return evenness(costs, gpus)


def all_reduce_seconds(num_bytes: float, gpus: int, network: float) -> float:
    """Of a ring: inside a node, or over nodes with every GPU's part over the node's network."""
    nodes = -(-gpus // GPUS_PER_NODE)
    inside = min(gpus, GPUS_PER_NODE)
    seconds = 2 * (inside - 1) / inside * num_bytes / NVLINK
    return seconds + 2 * (nodes - 1) / nodes * num_bytes / min(network, NVLINK)


def efficiency(setting: Setting, gpus: int, speed: float, network: float, even: float) -> float:
    """Audio per second of so many GPUs, over that of as many alone.

    Args:
        speed: seconds of audio per second of one GPU.
        even: the share of the ranks' time that none of them waits for another.
    """
    audio = UPDATE_SECONDS / gpus
    micro = -(-audio // LARGEST_MICRO_BATCH)
    compute = max(audio / speed / even, LAUNCH * micro)  # the fullest rank's
    reduce = all_reduce_seconds(setting.gradient_bytes * PARAMETERS, gpus, network)
    exposed = max(0.0, reduce - HIDDEN * compute / micro)
    update = compute + exposed + SMALL_SUMS + (0.0 if setting.late else READ_GAP)
    return audio / speed / update


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=float, default=3800, help="seconds of audio per second of one GPU (3800)")
    speed = parser.parse_args().speed
    lengths = librispeech_lengths()
    print(f"{speed:,.0f} s of audio per second of one GPU.\n")
    print("| GPUs | s of audio per GPU | setting | no rank waits | " + " | ".join(NETWORKS) + " |")
    print("|--:|--:|---|--:|" + "--:|" * len(NETWORKS), flush=True)
    for gpus in (8, 16, 32, 64):
        shares = {even: rank_evenness(lengths, gpus, even=even) for even in (False, True)}
        for setting in SETTINGS:
            even = shares[setting.even]
            values = (efficiency(setting, gpus, speed, network, even) for network in NETWORKS.values())
            text = " | ".join(f"{100 * value:.0f} %" for value in values)
            print(
                f"| {gpus} | {UPDATE_SECONDS / gpus:.0f} | {setting.name} | {100 * even:.1f} % | {text} |", flush=True
            )
    return 0


if __name__ == "__main__":
    run_main(main)
