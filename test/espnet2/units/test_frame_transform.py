"""Features before k-means: values worked out by hand, the same for parts of an utterance, and options refused."""

import math

import pytest
import torch

from espnet2.units.frame_transform import (
    FrameTransform,
    Projection,
    fit_projection,
    frame_statistics,
    join_layers,
    moving_mean,
    smooth_parts,
)
from espnet2.units.transform import TransformOptions
from espnet2.utils.errors import UserError


def column(*values: float) -> torch.Tensor:
    """(1, frames, 1): one layer of one value."""
    return torch.tensor(values)[None, :, None]


def random_frames(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def test_without_options_frames_are_the_very_same():
    features = torch.randn(1, 7, 3)
    assert torch.equal(FrameTransform(TransformOptions())(features), features[0])
    assert TransformOptions().changed == {} and TransformOptions().describe() == ""


def test_layers_are_joined_frame_by_frame():
    layers = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])  # 2 layers, 2 frames, 2 values
    assert join_layers(layers).tolist() == [[1, 2, 5, 6], [3, 4, 7, 8]]


def test_mean_and_variance_of_the_utterance_are_taken_away():
    features = column(1.0, 3.0, 5.0, 7.0)  # mean 4, variance (9 + 1 + 1 + 9) / 4 = 5
    centred = FrameTransform(TransformOptions("utterance-mean"))(features)
    assert centred[:, 0].tolist() == [-3, -1, 1, 3]
    scaled = FrameTransform(TransformOptions("utterance-mean-variance"))(features)
    assert scaled[:, 0].tolist() == pytest.approx([value / math.sqrt(5) for value in (-3, -1, 1, 3)], rel=1e-6)
    constant = FrameTransform(TransformOptions("utterance-mean-variance"))(column(2.5, 2.5))
    assert constant[:, 0].tolist() == [0, 0]  # not 0 / 0


def test_a_shift_of_the_utterance_changes_nothing_behind_its_mean():
    features, shift = torch.randn(2, 50, 4), 100 * torch.randn(2, 1, 4)
    transform = FrameTransform(TransformOptions("utterance-mean"))
    assert torch.allclose(transform(features), transform(features + shift), atol=1e-4)


def test_the_moving_mean_has_fewer_frames_at_the_ends():
    frames = torch.tensor([[0.0], [4.0], [8.0], [0.0], [3.0]])
    assert moving_mean(frames, 3)[:, 0].tolist() == pytest.approx([2, 4, 4, 11 / 3, 1.5])
    assert moving_mean(frames, 5)[:, 0].tolist() == pytest.approx([4, 3, 3, 3.75, 11 / 3])
    assert moving_mean(frames[:1], 5).tolist() == [[0]] and moving_mean(frames[:0], 3).shape == (0, 1)
    assert moving_mean(frames, 1) is frames


@pytest.mark.parametrize("width", [3, 5, 9])
@pytest.mark.parametrize("sizes", [[20], [1] * 20, [7, 1, 12], [2, 2, 16], [0, 20, 0], [3, 3]])
def test_smoothing_parts_gives_the_bits_of_the_whole(sizes, width):
    whole = random_frames(sum(sizes), 4)
    parts = list(smooth_parts(iter(whole.split(sizes)), width))
    assert torch.equal(torch.cat(parts), moving_mean(whole, width))


def test_statistics_of_parts_are_those_of_the_whole():
    whole = random_frames(500, 3) * 5 + 1000
    mean, deviation = frame_statistics(iter(whole.split([1, 0, 99, 400])))
    assert torch.allclose(mean, whole.double().mean(0).float(), rtol=1e-7)
    assert torch.allclose(deviation, whole.double().std(0, correction=0).float(), rtol=1e-6)


def test_a_long_utterance_in_parts_is_as_in_one():
    options = TransformOptions("utterance-mean-variance", smooth_frames=5, whiten_dim=2)
    transform = FrameTransform(options, fit_projection(random_frames(200, 6), options))
    features = torch.randn(2, 40, 3)
    parts = torch.cat(list(transform.stream(lambda: iter(features.split([3, 30, 7], dim=1)))))
    assert parts.shape == (40, 2) and torch.allclose(parts, transform(features), atol=1e-5)


def test_principal_components_by_hand():
    # Along (0.6, 0.8) the values -2, 0, 2 times sqrt(3), across it -1, 2, -1 divided by sqrt(2): variances 8 and 1.
    along, across = torch.tensor([0.6, 0.8]), torch.tensor([-0.8, 0.6])
    frames = (
        torch.tensor([-2.0, 0.0, 2.0])[:, None] * math.sqrt(3) * along
        + torch.tensor([-1.0, 2.0, -1.0])[:, None] / math.sqrt(2) * across
        + torch.tensor([10.0, -10.0])
    )
    projection = fit_projection(frames, TransformOptions(pca_dim=2))
    assert projection.mean.tolist() == pytest.approx([10, -10])
    assert projection.matrix.flatten().tolist() == pytest.approx([0.6, 0.8, 0.8, -0.6], abs=1e-6)  # largest weight > 0
    whitened = fit_projection(frames, TransformOptions(whiten_dim=2))
    assert whitened.matrix.flatten().tolist() == pytest.approx(
        [0.6 / math.sqrt(8), 0.8 / math.sqrt(8), 0.8, -0.6], abs=1e-6
    )
    kept = FrameTransform(TransformOptions(whiten_dim=1), Projection(whitened.mean, whitened.matrix[:1]))
    assert kept(frames[None])[:, 0].tolist() == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)], abs=1e-6)


def test_whitened_frames_have_the_identity_as_covariance():
    frames = random_frames(20_000, 5) @ random_frames(5, 5, seed=1) + 3
    options = TransformOptions(whiten_dim=3)
    whitened = FrameTransform(options, fit_projection(frames, options)).project(frames).double()
    assert torch.allclose(whitened.T @ whitened / len(frames), torch.eye(3, dtype=torch.float64), atol=1e-5)
    assert whitened.mean(0).abs().max() < 1e-5


def test_more_dimensions_than_vary_are_refused():
    flat = random_frames(100, 2) @ random_frames(2, 4, seed=1)
    assert fit_projection(flat, TransformOptions(whiten_dim=2)).matrix.shape == (2, 4)
    with pytest.raises(UserError, match=r"100 frames of the sample vary in 2 directions only, fewer than the 3"):
        fit_projection(flat, TransformOptions(whiten_dim=3))
    with pytest.raises(UserError, match="2 directions only"):  # 3 frames span 2 directions
        fit_projection(random_frames(3, 4), TransformOptions(pca_dim=3))
    with pytest.raises(UserError, match="--pca_dim 5: a frame of these features has only 4 values"):
        fit_projection(flat, TransformOptions(pca_dim=5))
    with pytest.raises(UserError, match="nan or inf"):
        fit_projection(flat.index_fill(0, torch.tensor([3]), math.nan), TransformOptions(pca_dim=1))
    with pytest.raises(UserError, match="vary in 0 directions"):
        fit_projection(torch.ones(5, 3), TransformOptions(pca_dim=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": "utterance"}, "--normalize utterance: unknown; known are none, utterance-mean"),
        ({"smooth_frames": 2}, "--smooth_frames 2: expected an odd number"),
        ({"smooth_frames": 0}, "--smooth_frames 0: expected an odd number"),
        ({"smooth_frames": -3}, "--smooth_frames -3: expected an odd number"),
        ({"pca_dim": -1}, "--pca_dim -1: expected a number of dimensions"),
        ({"whiten_dim": -1}, "--whiten_dim -1: expected a number of dimensions"),
        ({"pca_dim": 4, "whiten_dim": 4}, "give one of the two"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(UserError, match=message):
        TransformOptions(**options)
