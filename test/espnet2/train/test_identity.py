"""Identities of older and newer toolkits in; the same run goes on, another one is refused by what differs."""

import copy
from pathlib import Path

import pytest
from tiny_model import tiny_config

from espnet2.train.data import plan_steps
from espnet2.train.identity import check_same_run, describe_run
from espnet2.utils.errors import UserError

WHERE = Path("exp/a/checkpoints/update_8")


@pytest.fixture
def config():
    return tiny_config(frontend="conv")


@pytest.fixture
def saved(config):
    return copy.deepcopy(describe_run(config, {"train_sets": ["1a"]}, {"shard_samples": 100}))


def now(config, **changes):
    return describe_run(config.model_copy(update=changes), {"train_sets": ["1a"]}, {"shard_samples": 100})


def test_keys_that_came_later_had_their_defaults(config, saved):
    for section, key in (("encoder_conf", "norm_eps"), ("frontend_conf", "projection_norm")):
        assert key in saved["config"][section]
        del saved["config"][section][key]
    del saved["config"]["loss"][0]["conf"]["mask_span"], saved["config"]["crop"]
    check_same_run(saved, now(config), config, WHERE)


def test_a_later_key_with_another_value_is_another_run(config, saved):
    del saved["config"]["encoder_conf"]["norm_eps"]
    changed = config.model_copy(update={"encoder_conf": config.encoder_conf.model_copy(update={"norm_eps": 1e-6})})
    with pytest.raises(UserError, match=r"config\.encoder_conf\.norm_eps: 1e-05 in the checkpoint, 1e-06 now"):
        check_same_run(saved, now(changed), changed, WHERE)


def test_a_key_that_is_no_more_is_named(config, saved):
    saved["config"]["encoder_conf"]["forgotten_key"] = 3
    with pytest.raises(UserError, match=r"config\.encoder_conf\.forgotten_key: 3 in the checkpoint, None now"):
        check_same_run(saved, now(config), config, WHERE)


def test_what_moves_no_weight_may_change(config, saved):
    changed = config.model_copy(update={"max_update": 12345, "num_workers": 7})
    check_same_run(saved, now(changed), changed, WHERE)


def test_other_data_is_named(config, saved):
    saved["data"]["train_sets"] = ["2b"]
    with pytest.raises(UserError, match=r"data\.train_sets\.0: 2b in the checkpoint, 1a now"):
        check_same_run(saved, now(config), config, WHERE)


@pytest.mark.parametrize(
    ("batch_bins", "saved_with", "now_with", "sizes"),
    [(160000, 2, 1, "1 or 2"), (160000, 1, 2, None), (2800000, 8, 3, "1 or 2 or 4 or 8"), (1000, 4, 8, "1 or 2 or 4")],
)
def test_another_number_of_processes_is_told_the_value_that_goes_on(config, batch_bins, saved_with, now_with, sizes):
    config = config.model_copy(update={"batch_bins": batch_bins, "max_bins_per_gpu": None})

    def identity(num_processes, config=config):
        steps = plan_steps(config, num_processes)
        division = {"shard_samples": steps.shard_samples, "micro_batches": steps.micro_batches}
        return describe_run(config, {"train_sets": ["1a"]}, division)

    before = identity(saved_with)
    with pytest.raises(UserError) as refused:
        check_same_run(before, identity(now_with), config, WHERE)
    shard = batch_bins // saved_with
    advice = f"to go on with {sizes or '1'} processes, divide it as before: --max_bins_per_gpu {shard}; or restore them"
    assert advice in str(refused.value)
    followed = config.model_copy(update={"max_bins_per_gpu": shard})
    for size in (sizes or "1").split(" or "):
        check_same_run(before, identity(int(size), followed), followed, WHERE)
