"""Efficiency of many GPUs, computed: reductions by hand, what cannot get worse, evenness from the sampler."""

import pytest
from scaling import GPUS_PER_NODE, NVLINK, SETTINGS, all_reduce_seconds, efficiency, librispeech_lengths, rank_evenness


def test_a_reduction_by_hand():
    assert all_reduce_seconds(NVLINK, 1, 1e9) == 0
    assert all_reduce_seconds(NVLINK, GPUS_PER_NODE, 1e9) == pytest.approx(2 * 7 / 8)
    assert all_reduce_seconds(1e9, 16, 1e9) == pytest.approx(2 * 7 / 8 * 1e9 / NVLINK + 1)


def test_more_gpus_and_slower_networks_are_less_efficient():
    shipped, _, half = SETTINGS
    speeds = [efficiency(shipped, gpus, 3800, 300e9, 0.9) for gpus in (8, 16, 32, 64)]
    assert speeds == sorted(speeds, reverse=True) and speeds[0] < 0.9
    assert efficiency(shipped, 64, 3800, 11e9, 0.9) < efficiency(half, 64, 3800, 11e9, 0.9) < speeds[-1]


def test_even_updates_wait_less():
    lengths = librispeech_lengths(20_000)
    assert rank_evenness(lengths, 64, even=False) < 0.87 < 0.97 < rank_evenness(lengths, 64, even=True)
