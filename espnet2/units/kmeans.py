"""A sample of frames in, K centroids out; frames and centroids in, nearest-centroid labels out."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espnet2.utils.errors import UserError

SCORES_PER_CHUNK = 1 << 20  # 4 MB of float32 scores: stays in a core's cache (measured best of 2^17..2^23)
SCORES_PER_CHUNK_CUDA = 1 << 26  # 256 MB: enough work for each kernel
INTEGER_WEIGHT = 1 << 40  # scale of integer weights: 2^20 frames times 2^40 still fit 63 bits
START_FRAMES_PER_CLUSTER = 20  # sample of the k-means++ start: enough to meet every cluster, cheap enough to repeat
START_FRAMES_MIN = 8192
START_PASSES = 5  # short Lloyd runs that tell good starts from bad ones
LEVEL_TOLERANCE = 2e-3  # on a part of the sample a coarser optimum is enough: the next part moves it anyway
LEVEL_PASSES = 10
# Of the largest squared norm: below it a squared distance of float32 frames is what cancellation leaves of zero.
ROUNDING = 8 * torch.finfo(torch.float32).eps
REPORT_SECONDS = 2.0


@dataclass(frozen=True)
class KMeans:
    """The outcome of a fit."""

    centroids: Tensor  # (clusters, dim) float32, on the host
    inertia: float  # mean squared distance of a frame of the sample to its centroid
    num_frames: int  # in the sample
    num_passes: int  # of Lloyd's algorithm over the whole sample


def forecast_fit_bytes(num_frames: int, dim: int, num_clusters: int) -> int:
    """Peak memory of `fit_kmeans(..., in_place=True)`, its sample included, in bytes."""
    sample = 4 * num_frames * dim
    distances = 4 * num_frames
    work = 4 * (4 * SCORES_PER_CHUNK + 4 * num_clusters * dim)
    starts = 4 * _start_frames(num_frames, num_clusters) * (3 + _candidates(num_clusters))
    return sample + distances + work + starts


def fit_kmeans(
    frames: Tensor | np.ndarray,
    num_clusters: int,
    *,
    seed: int = 0,
    num_starts: int = 3,
    tolerance: float = 1e-3,
    max_passes: int = 100,
    device: torch.device | str = "cpu",
    in_place: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> KMeans:
    """Cluster frames: k-means++ starts on a small part, then Lloyd on parts that double until they are the whole.

    The result is fixed by the frames, the seed, the device and the number of threads. Greedy k-means++: Arthur and
    Vassilvitskii 2007, section 5 (as scikit-learn does); growing parts: Newling and Fleuret 2016, nested mini-batches.

    Args:
        frames: (frames, dim) float32.
        num_starts: k-means++ starts; the one with the lowest inertia after a few passes goes on.
        tolerance: stop when a pass lowers the inertia by less than this share.
        max_passes: over the whole sample.
        device: where the matrix products run; the sample stays on the host when it does not fit there.
        in_place: shuffle and centre `frames` itself instead of a copy (their values are lost).
        report: gets a line of progress now and then.

    Raises:
        UserError: fewer (distinct) frames than clusters, or values that are not finite.
    """
    sample = torch.as_tensor(frames, dtype=torch.float32)
    num_frames = len(sample)
    if num_frames < num_clusters:
        raise UserError(
            f"k-means: {num_frames} frames cannot make {num_clusters} clusters; "
            "give more data (--portion) or fewer clusters"
        )
    generator = torch.Generator().manual_seed(seed)
    sample = _shuffle(sample, generator, in_place=in_place)
    mean = sample.mean(0)
    if not torch.isfinite(mean).all():
        raise UserError("k-means: some features are nan or inf; the teacher has diverged or the audio is bad")
    sample.sub_(mean)  # distances are differences of large numbers unless the frames are centred
    fit = _Fit(_where_it_fits(sample, torch.device(device)), torch.device(device), generator, report)
    centroids = fit.start(num_clusters, num_starts)
    size, passes = _start_frames(num_frames, num_clusters), 0
    while size < num_frames:
        centroids, _, _ = fit.lloyd(centroids, size, LEVEL_TOLERANCE, LEVEL_PASSES)
        size *= 2
    centroids, inertia, passes = fit.lloyd(centroids, num_frames, tolerance, max_passes)
    return KMeans(centroids.cpu() + mean, inertia, num_frames, passes)


def assign(frames: Tensor, centroids: Tensor) -> Tensor:
    """The nearest centroid of every frame (the lowest id among equals).

    Args:
        frames: (frames, dim) float32.
        centroids: (clusters, dim) float32, on the same device.

    Returns:
        (frames,) int64.
    """
    offset = centroids.mean(0)
    scorer = _Scorer(centroids - offset)
    parts = [scorer(chunk - offset).indices for chunk in frames.split(scorer.chunk_frames)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=frames.device)


class _Scorer:
    """Centred frames to (half the squared distance less half the squared norm, index) of their nearest centroid."""

    def __init__(self, centroids: Tensor) -> None:
        self.transposed = centroids.T
        self.bias = centroids.square().sum(1) / 2
        scores = SCORES_PER_CHUNK_CUDA if centroids.is_cuda else SCORES_PER_CHUNK
        self.chunk_frames = max(256, scores // len(centroids))

    def __call__(self, frames: Tensor) -> torch.return_types.min:
        return torch.addmm(self.bias, frames, self.transposed, alpha=-1).min(1)


class _Fit:
    """One fit in progress: the shuffled, centred sample, of which every prefix is a random part."""

    def __init__(
        self, sample: Tensor, device: torch.device, generator: torch.Generator, report: Callable[[str], None]
    ) -> None:
        self.sample = sample
        self.device = device
        self.generator = generator
        self.report = report
        self.last_report = time.monotonic()

    def start(self, num_clusters: int, num_starts: int) -> Tensor:
        """The best of several k-means++ starts after a few passes: (clusters, dim)."""
        size = _start_frames(len(self.sample), num_clusters)
        part = self.sample[:size].to(self.device)
        best: Tensor | None = None
        lowest = math.inf
        for number in range(1, num_starts + 1):
            centroids = plus_plus(part, num_clusters, self.generator)
            centroids, inertia, _ = self.lloyd(centroids, size, 0.0, START_PASSES)
            self.tell(f"start {number} of {num_starts}: inertia {inertia:.5g} on {size} frames", always=True)
            if inertia < lowest:
                best, lowest = centroids, inertia
        if best is None:
            raise ValueError("no start has a finite inertia")
        return best

    def lloyd(self, centroids: Tensor, size: int, tolerance: float, max_passes: int) -> tuple[Tensor, float, int]:
        """Lloyd's algorithm on the first `size` frames: (centroids, inertia per frame, passes).

        The inertia belongs to the centroids before their last update: an upper bound, free of charge.
        """
        before = math.inf
        for passes in range(1, max_passes + 1):
            began = time.monotonic()
            centroids, inertia, empty = self._pass(centroids, size)
            self.tell(f"{size} frames, pass {passes}: inertia {inertia:.5g}, {time.monotonic() - began:.2f} s")
            if not empty and before - inertia <= tolerance * inertia:
                break
            before = inertia
        return centroids, inertia, passes

    def _pass(self, centroids: Tensor, size: int) -> tuple[Tensor, float, int]:
        """Assign, average, refill empty clusters: (centroids, inertia per frame before the update, empty clusters)."""
        scorer = _Scorer(centroids)
        sums = torch.zeros_like(centroids)
        counts = torch.zeros(len(centroids), device=self.device)
        distances = torch.empty(size, device=self.device)
        largest = distances.new_zeros(())  # squared norm
        for first, chunk in self._chunks(size, scorer.chunk_frames):
            scores, nearest = scorer(chunk)
            norms = chunk.square().sum(1)
            largest = torch.maximum(largest, norms.max())
            distances[first : first + len(chunk)] = norms.add_(scores, alpha=2).clamp_(min=0)
            _add_rows(sums, counts, nearest, chunk)
        moved = sums / counts.clamp(min=1)[:, None]
        empty = torch.nonzero(counts == 0)[:, 0]
        if len(empty):
            # A part of the sample may lack frames that the whole has: its clusters wait, empty, for more of it.
            few = int((distances > ROUNDING * largest).sum()) < len(empty)
            if few and size == len(self.sample):
                raise UserError("k-means: fewer distinct frames than clusters; give more data or fewer clusters")
            moved[empty] = centroids[empty] if few else self._refill(distances, len(empty))
        return moved, distances.sum(dtype=torch.float64).item() / size, len(empty)

    def _refill(self, distances: Tensor, num_empty: int) -> Tensor:
        """Frames far from their centroids, drawn as k-means++ does, for clusters that have lost all of theirs."""
        chosen = _draw(distances.double().cpu(), num_empty, self.generator)
        return self.sample[chosen.to(self.sample.device)].to(self.device)

    def _chunks(self, size: int, chunk_frames: int) -> Iterator[tuple[int, Tensor]]:
        for first in range(0, size, chunk_frames):
            yield first, self.sample[first : min(first + chunk_frames, size)].to(self.device, non_blocking=True)

    def tell(self, line: str, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self.last_report >= REPORT_SECONDS:
            self.last_report = now
            self.report(line)


def plus_plus(frames: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """Greedy k-means++: each centroid is the best of a few frames drawn in proportion to their squared distance.

    Args:
        frames: (frames, dim), centred.

    Returns:
        (clusters, dim), rows of `frames`; fewer distinct frames than clusters give equal rows.
    """
    norms = frames.square().sum(1)
    num_candidates = _candidates(num_clusters)
    draws = torch.rand(num_clusters, num_candidates, generator=generator, dtype=torch.float64).to(frames.device)
    chosen = torch.empty(num_clusters, dtype=torch.int64, device=frames.device)
    chosen[0] = (draws[0, 0] * len(frames)).long()
    nearest = _squared_distances(frames, norms, chosen[:1])[:, 0]
    for cluster in range(1, num_clusters):
        # In integers, because a sum in floating point has no fixed order on a GPU.
        weights = (nearest.double() * (INTEGER_WEIGHT / nearest.max().double().clamp(min=1e-30))).long().cumsum(0)
        drawn = (draws[cluster] * weights[-1]).long()
        candidates = torch.searchsorted(weights, drawn, right=True).clamp_(max=len(frames) - 1)
        distances = torch.minimum(_squared_distances(frames, norms, candidates), nearest[:, None])
        best = distances.sum(0).argmin()[None]  # an index of one element: a number would be read to the host
        chosen[cluster] = candidates.index_select(0, best)[0]
        nearest = distances.index_select(1, best)[:, 0]
    return frames[chosen]


def _squared_distances(frames: Tensor, norms: Tensor, rows: Tensor) -> Tensor:
    """(frames, rows): squared distance of every frame to the frames `rows`."""
    distances = torch.addmm(norms[rows], frames, frames[rows].T, alpha=-2).add_(norms[:, None]).clamp_(min=0)
    distances[rows, torch.arange(len(rows), device=rows.device)] = 0  # no rounding: never drawn again
    return distances


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` distinct indices in proportion to `weights` (float64, host), by an exponential race (Efraimidis 2006)."""
    uniform = torch.rand(len(weights), generator=generator, dtype=torch.float64)
    return (torch.log(uniform) / weights).topk(count).indices  # log u / 0 = -inf: never among the first


def _add_rows(sums: Tensor, counts: Tensor, nearest: Tensor, chunk: Tensor) -> None:
    """Add every frame to the sum of its cluster, in an order that does not vary."""
    if chunk.is_cuda:  # index_add_ is not deterministic there; a product with the one-hot matrix is, and as cheap
        one_hot = chunk.new_zeros(len(chunk), len(sums)).scatter_(1, nearest[:, None], 1.0)
        sums.addmm_(one_hot.T, chunk)
        counts += one_hot.sum(0)
    else:
        sums.index_add_(0, nearest, chunk)
        counts += torch.bincount(nearest, minlength=len(sums))


def _shuffle(sample: Tensor, generator: torch.Generator, *, in_place: bool) -> Tensor:
    """The rows in random order, so that every prefix is a random part."""
    if not in_place:
        return sample[torch.randperm(len(sample), generator=generator)]
    seed = int(torch.randint(1 << 62, (), generator=generator))
    np.random.Generator(np.random.PCG64(seed)).shuffle(sample.numpy())
    return sample


def _where_it_fits(sample: Tensor, device: torch.device) -> Tensor:
    """The sample on the device if it fits there beside the work space, else on the host, to be streamed."""
    if device.type != "cuda":
        return sample
    free, _ = torch.cuda.mem_get_info(device)
    work = 4 * 4 * SCORES_PER_CHUNK_CUDA  # scores, one-hot rows and what the allocator keeps
    return sample.to(device) if sample.numel() * sample.element_size() + work < free else sample


def _start_frames(num_frames: int, num_clusters: int) -> int:
    return min(num_frames, max(START_FRAMES_MIN, START_FRAMES_PER_CLUSTER * num_clusters))


def _candidates(num_clusters: int) -> int:
    return 2 + int(math.log(num_clusters))  # Arthur and Vassilvitskii 2007, section 5
