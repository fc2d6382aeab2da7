"""Sets, languages, factors and schedules in; the shares in which a pass draws them out: closed forms."""

import numpy as np
import pytest

from espnet2.data.cut import CutRule, cut_shards
from espnet2.data.mixture import Sampling, Weights
from espnet2.data.sampler import Sampler
from espnet2.utils.errors import UserError

SECOND = 16000
SIZES = [600, 200, 100, 100]  # utterances of a/eng, a/cym, b/eng, b/fra
SETS = np.array([0, 0, 1, 1])


def shares(weights: Weights | tuple[Weights, ...], epoch: int = 0, *, two_levels: bool = True, **options) -> np.ndarray:
    groups = np.repeat(np.arange(4), SIZES)
    sampling = Sampling(
        groups,
        weights if isinstance(weights, tuple) else (weights,),
        set_of_group=SETS if two_levels else None,
        **options,
    )
    sampler = Sampler(np.full(1000, 5 * SECOND), shard_samples=10**7, max_samples=10**6, sampling=sampling)
    order = sampler.plan(epoch).order
    assert len(order) == pytest.approx(1000, abs=3)
    return np.bincount(groups[order], minlength=4) / len(order)


def test_two_levels_are_languages_in_sets_and_sets():
    """Sets 800 : 200 with alpha 0.5 are 2/3 : 1/3; in a 600 : 200 with alpha 0 are equal; b is equal already."""
    expected = np.array([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    np.testing.assert_allclose(shares(Weights(0.5, 0.0)), expected, atol=0.003)


def test_one_exponent_at_both_levels_is_not_one_level():
    two = shares(Weights(0.5, 0.5))
    inside = np.sqrt([3, 1]) / np.sqrt([3, 1]).sum()
    np.testing.assert_allclose(two, [*(2 / 3 * inside), 1 / 6, 1 / 6], atol=0.003)
    one = shares(Weights(0.5), two_levels=False)
    np.testing.assert_allclose(one, np.sqrt(SIZES) / np.sqrt(SIZES).sum(), atol=0.003)


def test_factors_multiply_shares_of_sets_and_of_languages_in_them():
    factors, sets = np.array([1.0, 3.0, 1.0, 0.0]), np.array([1.0, 4.0])
    expected = np.array([0.25, 0.25, 0.5, 0.0])  # sets 800 : 4 * 200; in a 600 : 3 * 200; in b 100 : 0
    np.testing.assert_allclose(shares(Weights(1.0, 1.0, factors, sets)), expected, atol=0.003)


def test_a_set_whose_languages_are_left_out_is_left_out():
    factors = np.array([1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(shares(Weights(0.0, 1.0, factors)), [0.75, 0.25, 0, 0], atol=0.003)
    with pytest.raises(UserError, match="nothing is left"):
        shares(Weights(1.0, 1.0, np.zeros(4)))


@pytest.mark.parametrize(("change", "seen"), [("steps", [0.6, 0.6, 0.25, 0.25]), ("linear", [0.6, None, 0.25, 0.25])])
def test_weights_change_from_pass_to_pass(change, seen):
    weights = (Weights(1.0), Weights(0.0))
    for epoch, share in enumerate(seen):
        halfway = 600**0.5 / sum(size**0.5 for size in SIZES)
        ours = shares(weights, epoch, two_levels=False, from_epochs=(0, 2), change=change)
        assert ours[0] == pytest.approx(halfway if share is None else share, abs=0.003)


def test_a_linear_schedule_also_moves_factors():
    halfway = Weights(1.0).towards(Weights(0.5, 1.0, np.array([3.0, 1.0])), 0.5)
    assert halfway.alpha == 0.75 and halfway.factors.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("crop", ["pad", "shortest"])
def test_a_quadratic_term_makes_the_cost_of_batches_even(crop):
    """Long utterances come in smaller batches: sum of n + n^2 / q is bounded, and the bound is used."""
    lengths = SECOND * np.random.default_rng(0).integers(1, 31, 3000)
    options = {"shard_samples": 400 * SECOND, "max_samples": 30 * SECOND, "hop_samples": 320, "crop": crop}
    plain, quadratic = (Sampler(lengths, quadratic_samples=q, **options).plan(0) for q in (None, 15 * SECOND))
    assert sorted(quadratic.order) == list(range(3000))

    def costs(plan):
        seconds = plan.num_samples / SECOND
        return np.diff(plan.starts) * (seconds + seconds**2 / 15)

    assert costs(quadratic).max() <= 400
    assert np.median(costs(quadratic)) > 320, "the bound is not used"
    assert np.std(costs(quadratic)[np.diff(quadratic.starts) > 3]) < 0.5 * np.std(costs(plain))


def test_batches_by_hand():
    """Of 10 samples each costs 10 + 100 / 50 = 12: five in 60, where six would fit without the term."""
    lengths = np.full(12, 10)
    for quadratic, sizes in ((50, [5, 5, 2]), (None, [6, 6])):
        starts, _ = cut_shards(lengths, 12, CutRule(60, step=1, shortest=False, quadratic_samples=quadratic))
        assert np.diff(starts).tolist() == sizes
