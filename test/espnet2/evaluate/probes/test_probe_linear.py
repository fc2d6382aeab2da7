"""Linear probes on hand-made layers: what is there is found, what is not is not, and scikit-learn agrees."""

import pytest
import torch

from espnet2.evaluate.probes.linear import Examples, fit_linear, majority_share, standardise

NUM_CLASSES = 4


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def classes_of(count: int, generator: torch.Generator) -> torch.Tensor:
    """Half of all in class 0, the rest even."""
    return torch.multinomial(torch.tensor([3.0, 1.0, 1.0, 1.0]), count, replacement=True, generator=generator)


def layers_of(classes: torch.Tensor, noise: list[float], generator: torch.Generator) -> torch.Tensor:
    """(layers, examples, 8): the class spelled out, under so much noise in each layer."""
    spelled = torch.nn.functional.one_hot(classes, 8).float()
    layers = [spelled + level * torch.randn(spelled.shape, generator=generator) for level in noise]
    return torch.stack(layers)


def both_sides(noise: list[float], seed: int = 0) -> tuple[Examples, Examples]:
    generator = torch.Generator().manual_seed(seed)
    sides = [classes_of(count, generator) for count in (2000, 1000)]
    features = [layers_of(classes, noise, generator) for classes in sides]
    standardise(*features)
    return tuple(Examples(*pair) for pair in zip(features, sides, strict=True))


def test_separable_classes_are_all_told():
    assert fit_linear(*both_sides([0.05]), NUM_CLASSES, seed=0).accuracy == 1.0


def test_random_classes_give_the_share_of_the_most_frequent():
    train, test = both_sides([0.05])
    random = torch.Generator().manual_seed(1)
    shuffled = [side.classes[torch.randperm(len(side.classes), generator=random)] for side in (train, test)]
    train, test = (Examples(side.features, classes) for side, classes in zip((train, test), shuffled, strict=True))
    majority = majority_share(train.classes, test.classes)
    assert majority == pytest.approx(0.5, abs=0.04)
    assert fit_linear(train, test, NUM_CLASSES, seed=0).accuracy == pytest.approx(majority, abs=0.03)


def test_the_mix_finds_the_layer_that_tells():
    result = fit_linear(*both_sides([30.0, 0.1, 30.0]), NUM_CLASSES, seed=0)
    assert result.layer_weights[1] > 0.9 and sum(result.layer_weights) == pytest.approx(1)
    assert result.accuracy == 1.0


def test_the_mix_uses_two_layers_that_tell_different_things():
    train, test = both_sides([0.1, 0.1])
    for side in (train, test):  # the first layer hides classes 2 and 3, the second 0 and 1
        side.features[0, :, 2:] = 0
        side.features[1, :, :2] = 0
    result = fit_linear(train, test, NUM_CLASSES, seed=0)
    assert min(result.layer_weights) > 0.2 and result.accuracy > 0.99


def test_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    train, test = both_sides([0.6])
    other = LogisticRegression(max_iter=1000).fit(train.features[0].numpy(), train.classes.numpy())
    expected = other.score(test.features[0].numpy(), test.classes.numpy())
    assert 0.6 < expected < 0.95
    assert fit_linear(train, test, NUM_CLASSES, seed=0).accuracy == pytest.approx(expected, abs=0.015)


def test_a_seed_decides_all_and_the_global_generator_is_left_alone():
    sides = both_sides([1.0, 0.8])
    before = torch.random.get_rng_state()
    first, again, other = (fit_linear(*sides, NUM_CLASSES, seed=seed, updates=50) for seed in (3, 3, 4))
    assert first == again and first.layer_weights != other.layer_weights
    assert torch.equal(before, torch.random.get_rng_state())


def test_unseen_classes_are_errors():
    train, test = both_sides([0.05])
    hidden = test.classes.clone()
    hidden[:250] = -1
    assert fit_linear(train, Examples(test.features, hidden), NUM_CLASSES, seed=0).accuracy == pytest.approx(0.75)


def test_standardising_uses_the_training_statistics_and_survives_constants():
    train = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])
    test = torch.tensor([[[5.0, 7.0]]])
    standardise(train, test)
    assert train.tolist() == [[[-1.0, 0.0], [1.0, 0.0]]]
    assert test.tolist() == [[[3.0, 0.0]]]
