"""Learning rates that shrink with depth: the factors of every encoder, the steps taken, an exact resume."""

import math

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model
from tiny_training import make_corpus
from topology import assert_same_training, train, words, write_topology_config

from espnet2.ssl.encoder import encoder_names
from espnet2.train.layer_decay import RATE_FACTOR, describe_factors, rate_factors
from espnet2.train.optimizer import AdamWConfig, build_optimizer
from espnet2.utils.errors import UserError

DECAY = 0.5
ABOVE, BELOW = 1.0, DECAY**3  # of two blocks
SAVED_TWICE = {"max_update": 4, "valid_interval_updates": 2, "log_interval_updates": 1}


def factors_of(model):
    return rate_factors(model, [name for name, _ in model.named_parameters()], DECAY)


@pytest.mark.parametrize("encoder", encoder_names())
def test_blocks_halve_from_the_top_and_heads_keep_the_rate(encoder):
    factors = factors_of(tiny_model("hubert", encoder=encoder))
    for name, factor in factors.items():
        if name.startswith(("encoder.blocks.0.", "encoder.blocks.1.")):
            assert factor == (0.25 if ".0." in name[:17] else 0.5), name
        elif name.startswith("objectives."):
            assert factor == ABOVE, name
        elif name.startswith("frontend."):
            assert factor == BELOW, name
    assert set(factors.values()) == {1.0, 0.5, 0.25, 0.125}


@pytest.mark.parametrize(("norm", "factor"), [("post", BELOW), ("pre", ABOVE)])
def test_the_outer_norm_has_the_rate_of_its_side(norm, factor):
    factors = factors_of(tiny_model("hubert", encoder_conf={"norm": norm}))
    assert factors["encoder.norm.weight"] == factor
    assert all(value == BELOW for name, value in factors.items() if name.startswith("encoder.position."))


def test_a_long_skip_has_the_rate_of_the_block_that_it_joins():
    assert factors_of(tiny_model("speechflow"))["encoder.skips.0.weight"] == DECAY  # the second of two blocks


@pytest.mark.parametrize("decay_norm_and_bias", [True, False])
def test_a_first_step_is_as_long_as_the_rate_of_its_depth(decay_norm_and_bias):
    model = tiny_model("hubert")
    config = AdamWConfig(
        lr=1e-3, layer_decay=DECAY, weight_decay=0.0, eps=1e-30, decay_norm_and_bias=decay_norm_and_bias
    )
    optimizer = build_optimizer(model, config)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    model.before_update(1, seed=0)
    mean_loss(model, noise_batch(model, (16000, 12000))).backward()
    for group in optimizer.param_groups:  # as `Updater.finish` does
        group["lr"] = config.lr * group[RATE_FACTOR]
    optimizer.step()
    for name, factor in factors_of(model).items():
        step = (dict(model.named_parameters())[name] - before[name]).abs().max().item()
        assert math.isclose(step, config.lr * factor, rel_tol=1e-3), name  # Adam's first step is lr in every direction


def test_without_decay_there_is_one_group_and_no_key_of_its_own():
    model = tiny_model("hubert")
    assert [RATE_FACTOR in group for group in build_optimizer(model, AdamWConfig()).param_groups] == [False]
    assert "layer_decay" not in AdamWConfig().model_dump()
    assert AdamWConfig(layer_decay=0.9).model_dump()["layer_decay"] == 0.9
    assert describe_factors(model, 1.0) == []
    assert "layer 1 lr x 0.25, of the frontend lr x 0.125" in describe_factors(model, 0.5)[0]


def test_a_model_without_blocks_is_refused():
    with pytest.raises(UserError, match=r"layer_decay 0\.9 needs an encoder of blocks"):
        build_optimizer(torch.nn.Linear(2, 2), AdamWConfig(layer_decay=0.9))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("decay")
    paths = make_corpus(root)
    write_topology_config(root, "hubert", **SAVED_TWICE, optim_conf={"lr": 1e-3, "layer_decay": 0.5})
    return root, paths


@pytest.mark.parametrize(
    ("ranks", "options"), [(1, []), pytest.param(2, ["--fsdp", "true"], marks=pytest.mark.cluster)]
)
def test_a_resumed_run_keeps_the_rates(corpus, ranks, options):
    """The optimizer's groups are saved and put back in their order, sharded too."""
    root, paths = corpus
    schedule = ["--scheduler_conf", "total_steps=4"]
    unbroken, broken = root / f"unbroken{ranks}", root / f"broken{ranks}"
    train([*words(paths, root, "hubert", unbroken, 1, 4), *schedule], 1, unbroken)
    half = [*words(paths, root, "hubert", broken, ranks, 4 // ranks), *schedule, *options]
    train([*half, "--max_update", "2"], ranks, broken)
    train(half, ranks, broken)
    assert "going on from update 2 of 4" in (broken / "train.log").read_text()
    assert "layer_decay 0.5: the learning rate" in (broken / "train.log").read_text()
    assert_same_training(broken, unbroken)
