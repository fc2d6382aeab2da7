"""k-means: right on separable data, no worse than scikit-learn, fixed for a seed, sound on degenerate data."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from espnet2.units.kmeans import SCORES_PER_CHUNK, _Fit, assign, fit_kmeans, forecast_fit_bytes, plus_plus
from espnet2.utils.errors import UserError


def blobs(num_frames: int, num_blobs: int, dim: int = 5, spread: float = 0.05, seed: int = 0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(num_blobs, dim))
    owners = random.integers(0, num_blobs, num_frames)
    return (centres[owners] + spread * random.normal(size=(num_frames, dim))).astype(np.float32), owners, centres


def inertia(frames: np.ndarray, centroids: np.ndarray) -> float:
    return float((((frames[:, None] - centroids[None]) ** 2).sum(2)).min(1).mean())


def test_separable_blobs_are_found_exactly():
    frames, owners, centres = blobs(3000, 8)
    result = fit_kmeans(frames, 8)
    units = assign(torch.from_numpy(frames), result.centroids).numpy()
    assert len({(unit, owner) for unit, owner in zip(units, owners, strict=True)}) == 8
    distances = np.linalg.norm(result.centroids.numpy()[:, None] - centres[None], axis=2)
    assert distances.min(1).max() < 0.02
    assert result.inertia == pytest.approx(inertia(frames, result.centroids.numpy()), rel=1e-3)


@pytest.mark.parametrize("num_clusters", [10, 40])
def test_inertia_is_at_most_that_of_scikit_learn(num_clusters):
    from sklearn.cluster import MiniBatchKMeans

    random = np.random.default_rng(1)
    frames = (random.normal(size=(6000, 12)) * np.linspace(0.2, 3, 12)).astype(np.float32)
    theirs = MiniBatchKMeans(num_clusters, batch_size=2000, n_init=3, random_state=0).fit(frames).cluster_centers_
    ours = fit_kmeans(frames, num_clusters).centroids.numpy()
    assert inertia(frames, ours) <= inertia(frames, theirs)


def test_lloyd_never_gets_worse_and_ends_at_means_of_its_clusters():
    frames, _, _ = blobs(2000, 6, spread=0.5)
    centred = torch.from_numpy(frames - frames.mean(0))
    fit = _Fit(centred, torch.device("cpu"), torch.Generator().manual_seed(0), lambda line: None)
    centroids, before = plus_plus(centred[:200], 6, torch.Generator().manual_seed(0)), float("inf")
    for _ in range(10):
        centroids, now, _ = fit.lloyd(centroids, len(frames), 0.0, 1)
        assert now <= before
        before = now
    final = fit_kmeans(frames, 6, tolerance=0.0)
    units = assign(torch.from_numpy(frames), final.centroids)
    for unit in range(6):
        mean = torch.from_numpy(frames)[units == unit].mean(0)
        torch.testing.assert_close(mean, final.centroids[unit], atol=1e-4, rtol=1e-4)


def test_same_seed_same_bits_and_other_seed_other_start():
    frames, _, _ = blobs(2000, 30, spread=1.0)
    first, again = (fit_kmeans(frames, 20, seed=3).centroids for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, fit_kmeans(frames, 20, seed=4).centroids)


def test_frames_are_left_alone_unless_told_otherwise():
    frames, _, _ = blobs(500, 3)
    kept = frames.copy()
    fit_kmeans(frames, 3)
    assert np.array_equal(frames, kept)
    in_place = fit_kmeans(frames, 3, in_place=True)
    assert not np.array_equal(frames, kept)
    assert inertia(kept, in_place.centroids.numpy()) == pytest.approx(in_place.inertia, rel=1e-3)


def test_far_from_the_origin_is_as_good_as_near():
    frames, _, _ = blobs(2000, 8)
    near = fit_kmeans(frames, 8).inertia
    assert fit_kmeans(frames + 1000, 8).inertia == pytest.approx(near, rel=0.05)


def test_empty_clusters_are_refilled():
    frames = np.repeat(np.arange(12, dtype=np.float32)[:, None], 300, axis=0)
    frames[:3000, 0] = 0.0  # most frames are equal
    centred = torch.from_numpy(frames - frames.mean(0))
    fit = _Fit(centred, torch.device("cpu"), torch.Generator().manual_seed(0), lambda line: None)
    centroids, _, _ = fit.lloyd(torch.full((3, 1), 50.0), len(frames), 0.0, 10)
    assert len(torch.unique(assign(centred, centroids))) == 3
    units = assign(torch.from_numpy(frames), fit_kmeans(frames, 3).centroids)
    assert len(torch.unique(units)) == 3


def test_too_few_frames_or_distinct_frames_are_refused():
    with pytest.raises(UserError, match="5 frames cannot make 6 clusters"):
        fit_kmeans(np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32), 6)
    with pytest.raises(UserError, match="fewer distinct frames"):
        fit_kmeans(np.ones((50, 2), dtype=np.float32), 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    frames, _, _ = blobs(100, 3)
    frames[17, 2] = bad
    with pytest.raises(UserError, match="nan or inf"):
        fit_kmeans(frames, 3)


def test_assign_agrees_with_all_distances_over_several_chunks():
    random = np.random.default_rng(0)
    centroids = torch.from_numpy(random.normal(size=(600, 4)).astype(np.float32)) + 30
    frames = torch.from_numpy(random.normal(size=(4000, 4)).astype(np.float32)) + 30
    assert len(frames) * len(centroids) > 2 * SCORES_PER_CHUNK
    expected = torch.cdist(frames.double(), centroids.double()).argmin(1)
    assert (assign(frames, centroids) == expected).float().mean() > 0.999
    assert len(assign(frames[:0], centroids)) == 0


def test_forecast_covers_the_sample_and_grows_with_it():
    assert forecast_fit_bytes(1_000_000, 768, 500) > 4 * 1_000_000 * 768
    assert forecast_fit_bytes(1_000_000, 768, 500) < 1.2 * 4 * 1_000_000 * 768


def test_progress_is_told():
    lines: list[str] = []
    frames, _, _ = blobs(500, 3)
    fit_kmeans(frames, 3, num_starts=2, report=lines.append)
    assert [line for line in lines if line.startswith("start 2 of 2: inertia")]


@pytest.mark.parametrize("offset", [0.0, 3.0, 50.0])
@pytest.mark.parametrize("few", [1, 7, 50])
def test_one_distinct_frame_too_few_is_refused_whatever_rounding_leaves_of_zero(few, offset):
    distinct = torch.randn(few, 13, generator=torch.Generator().manual_seed(few)) + offset
    with pytest.raises(UserError, match="fewer distinct frames"):
        fit_kmeans(distinct.repeat(300 // few, 1), few + 1)
    fit = fit_kmeans(distinct.repeat(300 // few, 1), few)
    assert len(torch.unique(assign(distinct, fit.centroids))) == few


def test_a_frame_that_the_first_part_of_the_sample_lacks_gets_its_cluster():
    distinct = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    frames = torch.cat([distinct[:3].repeat(20000, 1), distinct[3:]])
    fit = fit_kmeans(frames, 4)
    assert len(torch.unique(assign(distinct, fit.centroids))) == 4


def test_the_first_centroids_are_chosen_without_a_read_to_the_host():
    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += func is torch.ops.aten._local_scalar_dense.default
            return func(*args, **(kwargs or {}))

    frames = torch.from_numpy(blobs(400, 8)[0])
    with Reads() as reads:
        centroids = plus_plus(frames, 30, torch.Generator().manual_seed(0))
        assert reads.count == 0
        frames[0, 0].item()
    assert reads.count == 1 and len(centroids.unique(dim=0)) == 30
