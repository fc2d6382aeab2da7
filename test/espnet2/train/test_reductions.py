"""Ways to share weights out and to add gradients up in; what travels, and the training of one process, out."""

import pytest
import torch
from sharded_ranks import run
from tiny_training import make_corpus
from topology import assert_same_training, losses, train, weights, words, write_topology_config

CONFIG = {"max_update": 4, "valid_interval_updates": 2, "log_interval_updates": 1, "save_interval_updates": 2}
BLOCKS = 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("reductions")
    paths = make_corpus(root)
    write_topology_config(root, "hubert", **CONFIG)
    train(words(paths, root, "hubert", root / "one", 1, 4), 1, root / "one")
    return root, paths


def trained(corpus, name, ranks, *options):
    root, paths = corpus
    line = [*words(paths, root, "hubert", root / name, ranks, 4 // ranks), *options]
    train(line, ranks, root / name)
    return root / name


def test_weights_are_gathered_once_for_all_micro_batches_of_an_update(tmp_path):
    one = run(tmp_path, "fp32", 1)
    assert one["gathers"] == [2 * BLOCKS + 1] * 2  # blocks forward and backward, the rest once
    several = run(tmp_path, "fp32", 3)
    assert several["gathers"] == [BLOCKS + 1, BLOCKS + 1]
    assert one["evaluated"] == several["evaluated"]  # what was gathered for an update does not stay
    assert several["types"] == ["torch.float32"] and several["linear"] == ["torch.float32"]


def test_in_bf16_blocks_are_gathered_in_half_and_gradients_are_added_up_in_float32(tmp_path):
    whole, half = run(tmp_path, "fp32", 3), run(tmp_path, "bf16", 3)
    assert "torch.bfloat16" in half["types"] and half["grads"] == ["torch.float32"]
    assert half["gathers"] == whole["gathers"]
    assert half["norms"] == pytest.approx(whole["norms"], rel=0.05) and half["norms"] != whole["norms"]


def test_copies_of_shares_train_as_one_process(corpus):
    """Four ranks, two copies; and two plain ranks go on with their checkpoint."""
    root, paths = corpus
    output = trained(corpus, "copies", 4, "--fsdp", "true", "--fsdp_ranks", "2")
    assert_same_training(output, root / "one")
    again = [*words(paths, root, "hubert", root / "copies", 2, 2), "--max_update", "6"]
    train(again, 2, root / "copies_then_two")
    assert "going on from update 4 of 6" in (output / "train.log").read_text()


def test_groups_that_do_not_divide_the_ranks_are_refused(corpus):
    from training_process import run_ranks

    root, paths = corpus
    line = [*words(paths, root, "hubert", root / "three", 2, 2), "--fsdp", "true", "--fsdp_ranks", "3"]
    assert run_ranks(line, 2, log=root / "three") == [2, 2]
    assert "2 processes do not fall into groups of 3; give a divisor of 2" in (root / "three.0.log").read_text()


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_gradients_in_bf16_are_about_those_in_float32(corpus, mode):
    output = trained(corpus, f"bf16_{mode}", 2, "--grad_reduction", "bf16", "--fsdp", str(mode == "fsdp").lower())
    exact = corpus[0] / "one"
    assert losses(output) == pytest.approx(losses(exact), rel=2e-2)
    differences = [(value - weights(exact)[name]).abs().max() for name, value in weights(output).items()]
    assert 0 < torch.stack(differences).max() < 5e-3  # learning rate 1e-3, four updates
