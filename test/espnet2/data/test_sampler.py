"""Lengths in; micro-batches that hold every utterance once, little padding, few shapes and an exact cursor out."""

import threading
import time
from itertools import islice

import numpy as np
import pytest

from espnet2.data import sampler as sampler_module
from espnet2.data.cut import CutRule, cut_shards
from espnet2.data.mixture import Sampling, Weights
from espnet2.data.sampler import Cursor, Sampler, sequential_shards

SECOND = 16000
BASE = {"shard_samples": 1_400_000, "max_samples": 250_000, "hop_samples": 320}  # HuBERT Base's share of one GPU


def lengths(count: int, seed: int = 0) -> np.ndarray:
    """Lengths like LibriSpeech's: many long utterances, some short ones."""
    random = np.random.default_rng(seed)
    return (SECOND * np.clip(random.normal(13, 5, count), 1.5, 25)).astype(np.int64)


@pytest.mark.parametrize("crop", ["pad", "shortest"])
@pytest.mark.parametrize("count", [300, 20_000])
def test_a_pass_holds_every_utterance_once_within_the_limit(crop, count):
    sampler = Sampler(lengths(count), crop=crop, **BASE)
    plan = sampler.plan(0)
    assert sorted(plan.order) == list(range(count))
    sizes = np.diff(plan.starts)
    assert sizes.min() >= 1 and (sizes * plan.num_samples).max() <= BASE["shard_samples"]
    assert plan.padding_share(sampler.lengths) < 0.05
    if crop == "shortest":
        assert plan.padding_share(sampler.lengths) == 0
        kept = (sizes * plan.num_samples).sum() / sampler.lengths.sum()
        assert kept > 0.9  # what cropping to the shortest costs


def test_shapes_are_few():
    plan = Sampler(lengths(20_000), crop="shortest", **BASE).plan(0)
    shapes = set(zip(np.diff(plan.starts).tolist(), plan.num_samples.tolist(), strict=True))
    assert len(shapes) < 80
    assert all(samples % 320 == 0 for _, samples in shapes)


def test_order_depends_on_seed_and_epoch_alone():
    make = lambda seed: Sampler(lengths(500), seed=seed, **BASE)  # noqa: E731
    first, again = make(1), make(1)
    again.plan(0)
    again.plan(7)
    assert np.array_equal(first.plan(3).order, again.plan(3).order)
    assert np.array_equal(first.plan(3).sequence, again.plan(3).sequence)
    assert not np.array_equal(first.plan(3).order, first.plan(4).order)
    assert not np.array_equal(first.plan(3).order, make(2).plan(3).order)


def test_utterances_meet_others_in_another_epoch():
    sampler = Sampler(lengths(400), **BASE)
    together = [{tuple(sorted(sampler.plan(e).shard(i)[0])) for i in range(len(sampler.plan(e)))} for e in range(2)]
    assert len(together[0] & together[1]) <= len(together[0]) // 10


def take(sampler: Sampler, cursor: Cursor, count: int, **ranks: int) -> list:
    return [
        (item.rows.tolist(), item.num_samples, item.number) for item in islice(sampler.stream(cursor, **ranks), count)
    ]


def test_cursor_goes_on_anywhere_also_across_epochs():
    sampler = Sampler(lengths(100), **BASE)
    whole = take(sampler, Cursor(), 50)
    assert len(sampler.plan(0)) < 30
    for consumed in (0, 1, 17, 40):
        cursor = sampler.advanced(Cursor(), consumed)
        assert take(Sampler(lengths(100), **BASE), cursor, 50 - consumed) == whole[consumed:]


def test_ranks_share_the_stream_of_one():
    sampler = Sampler(lengths(100), **BASE)
    whole = take(sampler, Cursor(), 60)
    for rank in range(3):
        assert take(sampler, Cursor(), 20, rank=rank, world_size=3) == whole[rank::3]


def test_short_utterances_are_left_out_and_long_ones_cropped():
    sampler = Sampler(np.array([100, 40_000, 900_000]), shard_samples=600_000, max_samples=250_000, min_samples=32_000)
    plan = sampler.plan(0)
    assert sorted(plan.order) == [1, 2]
    assert plan.num_samples.max() == 250_000 and sampler.lengths.max() == 250_000


def test_padding_crops_nothing():
    """Also where lengths on the grid and just above it meet: all multiples of 10 ms."""
    all_lengths = lengths(3000) // 160 * 160
    sampler = Sampler(all_lengths, shard_samples=1_400_000, max_samples=500_000, hop_samples=320)
    plan = sampler.plan(0)
    assert (np.repeat(plan.num_samples, np.diff(plan.starts)) >= all_lengths[plan.order]).all()


def test_plans_are_not_made_twice_at_the_end_of_a_pass(monkeypatch):
    """Loader processes are an epoch ahead of the training for a while; a plan of 10 million rows takes seconds."""
    made = []
    make = Sampler._make_plan
    monkeypatch.setattr(Sampler, "_make_plan", lambda self, epoch: made.append(1) or make(self, epoch))
    sampler = Sampler(lengths(400), **BASE)
    stream, cursor = sampler.stream(Cursor()), Cursor()
    ahead = [next(stream) for _ in range(8)]
    while cursor.epoch < 2:
        ahead.append(next(stream))
        cursor = sampler.advanced(cursor, 1)
    assert len(made) == 3 and ahead[-1].epoch == 2


def test_the_next_pass_of_a_large_set_is_planned_by_a_thread(monkeypatch):
    """From its half on, so that nothing waits at the end; the stream is the same."""
    monkeypatch.setattr(sampler_module, "AHEAD_FROM_UTTERANCES", 1000)
    threads = {}
    make = Sampler._make_plan

    def recorded(self, epoch):
        threads.setdefault(epoch, []).append(threading.current_thread().name)
        return make(self, epoch)

    monkeypatch.setattr(Sampler, "_make_plan", recorded)
    large, small = Sampler(lengths(3000), **BASE), Sampler(lengths(900), **BASE)
    num = len(large.plan(0))
    numbers = [micro.rows.tolist() for micro in islice(large.stream(Cursor()), 2 * num + 2)]
    assert threads[0] == ["MainThread"] and all("next pass" in threads[epoch][0] for epoch in (1, 2))
    assert all(len(names) == 1 for names in threads.values())
    monkeypatch.undo()
    assert numbers == [
        micro.rows.tolist() for micro in islice(Sampler(lengths(3000), **BASE).stream(Cursor()), 2 * num + 2)
    ]
    monkeypatch.setattr(Sampler, "_make_plan", recorded)
    threads.clear()
    list(islice(small.stream(Cursor()), 2 * len(small.plan(0))))
    assert {name for names in threads.values() for name in names} == {"MainThread"}


def test_an_utterance_longer_than_the_batch_is_a_batch():
    starts, samples = cut_shards(np.array([500, 5000]), 2, CutRule(1000, step=10, shortest=False))
    assert starts.tolist() == [0, 1, 2] and samples.tolist() == [500, 5000]


@pytest.mark.parametrize(("alpha", "share"), [(1.0, 0.9), (0.5, 0.75), (0.0, 0.5)])
def test_sampling_weights_by_group(alpha, share):
    """Groups of 900 and 100 equal utterances: shares p^alpha, 0.9^0.5 / (0.9^0.5 + 0.1^0.5) = 0.75."""
    groups = np.repeat([0, 1], [900, 100])
    sampler = Sampler(np.full(1000, SECOND * 5), sampling=Sampling(groups, (Weights(alpha),)), **BASE)
    order = sampler.plan(0).order
    assert len(order) == pytest.approx(1000, abs=2)
    assert (groups[order] == 0).mean() == pytest.approx(share, abs=0.005)
    counts = np.bincount(order, minlength=1000)
    assert counts[:900].max() - counts[:900].min() <= 1 and counts[900:].max() - counts[900:].min() <= 1


def test_validation_is_whole_and_fixed():
    all_lengths = lengths(50)
    shards = sequential_shards(all_lengths, 1_280_000)
    assert sorted(row for shard in shards for row in shard.rows) == list(range(50))
    assert all(shard.num_samples == all_lengths[shard.rows].max() for shard in shards)
    assert all(len(shard.rows) * shard.num_samples <= 1_280_000 for shard in shards)


def test_a_million_utterances_take_seconds():
    sampler = Sampler(lengths(1_000_000), **BASE)
    started = time.process_time()
    sampler.plan(0)
    assert time.process_time() - started < 5
