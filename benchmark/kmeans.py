"""Features in, a table out: seconds and inertia of our k-means beside scikit-learn's, in one run on one machine.

    python benchmark/kmeans.py --features mfcc=mfcc.npy layer2=layer2.npy --clusters "100 500"
    python benchmark/kmeans.py --dump_set dump/train --model exp/hubert --layer 2 --clusters "100 500"

fairseq's settings are those of its examples/hubert/simple_kmeans/learn_kmeans.py: k-means++, batches of 10,000 frames,
max_iter 100, n_init 20, tol 0, max_no_improvement 100, reassignment_ratio 0.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from espnet2.data.index import AudioIndex
from espnet2.units.features import map_features
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.units.source import make_extractor, resolve_source
from espnet2.utils.errors import UserError, run_main

FAIRSEQ = {"batch_size": 10_000, "max_iter": 100, "tol": 0.0, "max_no_improvement": 100, "reassignment_ratio": 0.0}
USUAL = (1e-3, 3)  # tolerance and number of starts: the defaults of fit_kmeans
SETTINGS = ((3e-3, 1), (1e-3, 1), USUAL, (3e-4, 3), (1e-4, 3), (3e-5, 3), (1e-5, 3))  # in turn, until as low as theirs


class Outcome(NamedTuple):
    """One fit."""

    solver: str
    seconds: float
    inertia: float  # mean squared distance per frame, computed the same way for all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", nargs="*", default=[], metavar="NAME=FILE", help=".npy files, (frames, dim)")
    parser.add_argument("--dump_set", type=Path, help="compute MFCC (and a layer of --model) of this set")
    parser.add_argument("--model", help="exp/<name>")
    parser.add_argument("--layer", type=int, default=1)
    parser.add_argument("--clusters", default="100 500")
    parser.add_argument("--max_frames", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3, help="fits of ours (%(default)s)")
    parser.add_argument("--skip", nargs="*", default=[], choices=["fairseq", "minibatch", "lloyd"])
    parser.add_argument("--device", default="cpu", help="of ours")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, device {arguments.device}\n"
    )
    print("| features | frames x dim | K | solver | s | inertia | ours, as low: s | times faster |")
    print("|---|--:|--:|---|--:|--:|--:|--:|")
    for name, frames in read_features(arguments):
        for num_clusters in map(int, arguments.clusters.split()):
            for line in compare(name, frames[: arguments.max_frames], num_clusters, arguments):
                print(line, flush=True)


def read_features(arguments: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    """(name, (frames, dim) float32) of each set of features asked for."""
    for word in arguments.features:
        name, _, path = word.partition("=")
        yield name, np.load(path).astype(np.float32)
    if arguments.dump_set is None:
        if not arguments.features:
            raise UserError("give --features NAME=FILE, or --dump_set dump/<set>")
        return
    index = AudioIndex.open(arguments.dump_set)
    sources = [resolve_source("mfcc", 0, "")]
    if arguments.model:
        sources.append(resolve_source("espnet_hubert", arguments.layer, arguments.model))
    for source in sources:
        extractor = make_extractor(source, index.sample_rate)
        parts, count = [], 0
        for part in map_features(index, range(len(index)), extractor, lambda _, layers: layers[0].numpy()):
            parts.append(part)
            count += len(part)
            if count >= arguments.max_frames:
                break
        yield source.describe(), np.concatenate(parts)


def compare(name: str, frames: np.ndarray, num_clusters: int, arguments: argparse.Namespace) -> Iterator[str]:
    """Lines of the table for one set of features and one K."""
    where = f"| {name} | {len(frames):,} x {frames.shape[1]} | {num_clusters}"

    def ours(setting: tuple[float, int], seed: int = 0) -> Outcome:
        tolerance, num_starts = setting
        options = {"seed": seed, "tolerance": tolerance, "num_starts": num_starts, "device": arguments.device}
        return timed(
            f"ours, tolerance {tolerance:g}, {num_starts} starts",
            frames,
            lambda: fit_kmeans(frames, num_clusters, **options).centroids.numpy(),
        )

    ours(SETTINGS[0])  # warms up threads and memory
    fits = [ours(USUAL, seed) for seed in range(arguments.seeds)]
    usual = Outcome(fits[0].solver, statistics.median(fit.seconds for fit in fits), max(fit.inertia for fit in fits))
    tries = {USUAL: usual}
    solver = f"{usual.solver} ({len(fits)} seeds: median time, highest inertia)"
    yield f"{where} | {solver} | {usual.seconds:.2f} | {usual.inertia:.5g} | | |"
    for theirs in scikit_learn(frames, num_clusters, arguments.skip):
        match = None
        for setting in SETTINGS:
            if setting not in tries:
                tries[setting] = ours(setting)
            if tries[setting].inertia <= theirs.inertia:
                match = tries[setting]
                break
        ending = f"{match.seconds:.2f} | {theirs.seconds / match.seconds:.1f}" if match else "not reached | "
        yield f"{where} | {theirs.solver} | {theirs.seconds:.2f} | {theirs.inertia:.5g} | {ending} |"


def scikit_learn(frames: np.ndarray, num_clusters: int, skip: list[str]) -> Iterator[Outcome]:
    """The fits of scikit-learn, one after the other."""
    import warnings

    from sklearn.cluster import KMeans, MiniBatchKMeans

    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
    common = {"n_clusters": num_clusters, "init": "k-means++", "random_state": 0}
    solvers: dict[str, tuple[str, Callable]] = {
        "minibatch": (
            "scikit-learn MiniBatchKMeans, fairseq's settings but n_init 1",
            lambda: MiniBatchKMeans(**common, **FAIRSEQ, n_init=1),
        ),
        "fairseq": (
            "scikit-learn MiniBatchKMeans, fairseq's settings (n_init 20)",
            lambda: MiniBatchKMeans(**common, **FAIRSEQ, n_init=20),
        ),
        "lloyd": ("scikit-learn KMeans (Lloyd), n_init 1", lambda: KMeans(**common, n_init=1)),
    }
    for key, (title, make) in solvers.items():
        if key not in skip:
            yield timed(title, frames, lambda make=make: make().fit(frames).cluster_centers_)


def timed(solver: str, frames: np.ndarray, fit: Callable[[], np.ndarray]) -> Outcome:
    """Run one fit, and measure its inertia in float64 with our assignment."""
    print(f"{solver} ...", file=sys.stderr, flush=True)
    began = time.perf_counter()
    centroids = torch.from_numpy(np.ascontiguousarray(fit(), dtype=np.float32))
    seconds = time.perf_counter() - began
    total = 0.0
    for chunk in torch.from_numpy(frames).split(16384):
        total += (chunk - centroids[assign(chunk, centroids)]).double().square().sum().item()
    return Outcome(solver, seconds, total / len(frames))


if __name__ == "__main__":
    run_main(main)
