"""Always the same updates in, divided over nodes, processes and micro-batches in several ways; one training out."""

import pytest
from tiny_training import make_corpus
from topology import assert_same_training, launch_nodes, losses, train, words, write_topology_config

CONFIG = {"max_update": 6, "valid_interval_updates": 3, "log_interval_updates": 1}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("topology")
    return root, make_corpus(root)


@pytest.mark.cluster
@pytest.mark.parametrize("objective", ["hubert", "dinosr"])
def test_one_by_four_is_two_by_two_is_one_by_two_twice(corpus, objective):
    root, paths = corpus
    write_topology_config(root, objective, **CONFIG)
    four, twos, twice = (root / f"{objective}_{name}" for name in ("four", "twos", "twice"))
    train(words(paths, root, objective, four, 4, 1), 4, four)
    launch_nodes(words(paths, root, objective, twos, 4, 1), 2, 2, root / f"{objective}_logs")
    train(words(paths, root, objective, twice, 2, 2), 2, twice)
    assert "4 ranks on 1 host(s), all-reduce of 4 MB" in (twos / "train.log").read_text()
    assert len(losses(four)) == 8  # six updates, two validations
    assert_same_training(four, twos)
    assert_same_training(four, twice)


def test_validation_is_exact_for_any_number_of_ranks(corpus):
    """A rate that moves no weight: all three validate the same model, on three batches."""
    root, paths = corpus
    write_topology_config(root, "hubert", max_update=1, optim_conf={"lr": 1e-30})
    losses_by_ranks = []
    for ranks in (1, 2, 3):
        output = root / f"valid{ranks}"
        train(words(paths, root, "hubert", output, ranks, 1), ranks, output)
        assert "3 batches" in (output / "train.log").read_text()
        losses_by_ranks.append(losses(output, "valid"))
    assert losses_by_ranks[1] == pytest.approx(losses_by_ranks[0], rel=1e-12)
    assert losses_by_ranks[2] == pytest.approx(losses_by_ranks[0], rel=1e-12)
