"""Micro-batches of few utterances in; an order in which no rank waits long for another out."""

from itertools import islice

import numpy as np
import pytest

from espnet2.data.even import evened, evenness
from espnet2.data.sampler import Cursor, Sampler

RANKS = 64
SHARD = 700_000  # 44 s


@pytest.fixture(scope="module")
def lengths():
    random = np.random.default_rng(0)
    whole = random.random(40_000) < 0.62
    seconds = np.where(whole, random.normal(14.3, 1.1, 40_000).clip(8, 24), random.uniform(2, 14, 40_000))
    return (16_000 * seconds).astype(np.int64)


def sampler_of(lengths, group, seed=0):
    shape = {"shard_samples": SHARD, "max_samples": 250_000, "crop": "shortest", "hop_samples": 320}
    return Sampler(lengths, **shape, seed=seed, even_group=group)


def costs(plan):
    return (np.diff(plan.starts) * plan.num_samples)[plan.sequence]


@pytest.mark.parametrize("epoch", [0, 1])
def test_no_rank_waits_for_another(lengths, epoch):
    before, after = (sampler_of(lengths, group).plan(epoch) for group in (None, RANKS))
    assert evenness(costs(before), RANKS) < 0.87
    assert evenness(costs(after), RANKS) > 0.97


def test_what_is_left_out_is_less_than_an_update_and_another_in_each_pass(lengths):
    sampler = sampler_of(lengths, RANKS)
    gone = []
    for epoch in range(2):
        plan = sampler.plan(epoch)
        assert len(plan) % RANKS == 0 and 0 < len(plan.num_samples) - len(plan) < RANKS
        used = [row for position in range(len(plan)) for row in plan.shard(position)[0]]
        assert len(used) == len(set(used))
        gone.append(set(range(len(lengths))) - set(used))
    assert not gone[0] & gone[1]


def test_updates_are_in_random_order(lengths):
    plan = sampler_of(lengths, RANKS).plan(0)
    means = costs(plan).reshape(-1, RANKS).mean(1)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3
    shorter = sampler_of(lengths, RANKS, seed=1).plan(0)
    assert not np.array_equal(plan.sequence, shorter.sequence)


def test_any_number_of_ranks_reads_the_same_order_also_after_a_break(lengths):
    sampler = sampler_of(lengths, RANKS)
    first = sampler.plan(0)
    near_the_end = Cursor(0, len(first) - RANKS, 1000)  # the stream goes on into the next pass
    alone = [item.rows.tolist() for item in islice(sampler.stream(near_the_end), 2 * RANKS)]
    for rank in (0, 3):
        part = islice(sampler.stream(near_the_end, rank=rank, world_size=4), RANKS // 2)
        assert [item.rows.tolist() for item in part] == alone[rank::4]
    again = sampler_of(lengths, RANKS).advanced(near_the_end, RANKS)
    assert (again.epoch, again.position, again.number) == (1, 0, 1000 + RANKS)


def test_less_than_an_update_stays_as_it_is():
    sequence = np.array([2, 0, 1])
    assert evened(sequence, np.array([5, 6, 7]), 4, np.random.default_rng(0)) is sequence
