"""The memory of an update traced on fake tensors: storages by hand, a straight line over clips, HuBERT Base's bound."""

import pytest
import torch
from gpu_training import TINY, make_config
from traced_memory import peak_bytes, row, update_memory
from traced_model import Shape
from traced_step import BASE, traced_config

from espnet2.train.peak_memory import USABLE, Memory, PeakMemory
from espnet2.train.traced_update import tracing


def test_storages_are_counted_while_something_holds_them():
    with tracing():
        weight = torch.empty(1000, dtype=torch.float32)
        with PeakMemory() as memory:
            memory.add([weight, weight.view(10, 100)])
            assert memory.live == 4000
            doubled = weight + weight
            view = doubled[:10]
            assert memory.live == 8000
            del doubled
            assert memory.live == 8000
            del view
            assert memory.live == 4000
            del weight
        assert (memory.live, memory.peak) == (0, 8000)


def test_a_backward_pass_frees_what_it_has_used():
    with tracing():
        x = torch.empty(1000, requires_grad=True)
        with PeakMemory() as memory:
            y = x.exp().sin()
            assert memory.live == 8000
            y.sum().backward()
            del y
        assert memory.live == 4000  # the gradient


def test_the_peak_is_a_line_over_clips():
    config = make_config(TINY)
    memory = update_memory(config, (2, 4))
    shape = Shape(9, memory.clip_seconds)
    assert memory.peak(9 * memory.clip_seconds) == pytest.approx(peak_bytes(config, shape), rel=0.02)
    assert memory.fixed > 0 and memory.clip_seconds == min(config.max_seconds, 16.0)


def test_blocks_computed_again_need_less_memory():
    config = traced_config(BASE, ["--encoder_conf.num_layers", "4"])
    again = traced_config(BASE, ["--encoder_conf.num_layers", "4", "--encoder_conf.recompute_blocks", "true"])
    shape = Shape(4, 15.625)
    assert peak_bytes(again, shape) < 0.95 * peak_bytes(config, shape)


def test_hubert_base_needs_no_more_memory_than_before():
    assert 12.0e9 < peak_bytes(traced_config(BASE), Shape(22, 15.625)) < 12.4e9


def test_what_fits():
    memory = Memory(fixed=2e9, per_clip=1e9, clip_seconds=16.0)
    assert memory.fitting_seconds(24) == 16 * int(24 * USABLE - 2)
    assert memory.fitting_seconds(1) == 0
    assert memory.peak(160) == 12e9
    config = make_config(TINY, batch_bins=320_000, max_bins_per_gpu=160_000)
    assert row("x", config, memory) == "| `x` | 2.0 | 10 | 2.6 | 288 | 512 | 1,056 | 1,872 |"
