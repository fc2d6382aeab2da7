"""An index of arks, tars and folders in; an order that reads them piece by piece, exact and mixed, out."""

from itertools import islice

import numpy as np
import pytest
from tiny_training import make_set

from espnet2.data.containers import Blocks, storage_blocks
from espnet2.data.index import open_indexes
from espnet2.data.index_build import build_index
from espnet2.data.mixture import Sampling, Weights
from espnet2.data.sampler import Cursor, Sampler
from espnet2.data.shard_buffer import ShardBuffer
from espnet2.utils.kaldi_table import read_table, write_table

SECOND = 16000
NAMES = [  # of 12 utterances in the order of their ids
    *("arks/a.ark:900", "arks/b.ark:10", "arks/a.ark:44", "arks/a.ark:10000", "tars/a.tar:7+100", "tars/a.tar:3+100"),
    *("x/one.wav", "x/two.wav", "y/one.wav", "y/10:20:30.wav", "y/10:20:31.wav", "arks/b.ark:9"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Two sets, of which the second has the same containers as the first by name."""
    root = tmp_path_factory.mktemp("containers")
    for name in ("one", "two"):
        make_set(root, name, num_utterances=12)
        folder = root / "dump" / name
        write_table(folder / "wav.scp", zip(read_table(folder / "wav.scp"), NAMES, strict=True))
        build_index(folder)
    return open_indexes([root / "dump/one", root / "dump/two"])


def as_sets(blocks: Blocks) -> list[list[int]]:
    return sorted(part.tolist() for part in np.split(blocks.rows, blocks.starts[1:-1]))


def test_a_block_is_of_one_container_in_the_order_of_its_bytes(index):
    first = [[2, 0, 3], [11, 1], [5, 4], [6, 7], [8, 9, 10]]
    assert as_sets(storage_blocks(index, 100)) == sorted(first + [[row + 12 for row in block] for block in first])


def test_rows_of_parquet_files_lie_by_group_and_row(tmp_path):
    make_set(tmp_path, "rows", num_utterances=6)
    folder = tmp_path / "dump/rows"
    entries = ["p/1.parquet:audio[1,0]", "p/1.parquet:audio[0,12]", "p/2.parquet:a[0,1]", "p/1.parquet:audio[0,3]"]
    entries += ["p/2.parquet:a[0,0]@160+80", "p/1.parquet:audio[10,2]"]
    write_table(folder / "wav.scp", zip(read_table(folder / "wav.scp"), entries, strict=True))
    build_index(folder)
    assert as_sets(storage_blocks(open_indexes([folder]), 100)) == [[3, 1, 0, 5], [4, 2]]


def test_large_containers_are_cut_into_equal_blocks(index):
    blocks = storage_blocks(index, 2)
    assert [2, 0] in as_sets(blocks) and [3] in as_sets(blocks) and np.diff(blocks.starts).max() == 2
    assert sorted(blocks.rows) == list(range(24))


def blocks_of(*sizes: int) -> Blocks:
    rows = np.random.default_rng(5).permutation(sum(sizes)).astype(np.int32)
    return Blocks(rows, np.append(0, np.cumsum(sizes)))


def sampler(*, buffer: int = 200, sampling: Sampling | None = None, sizes=(40,) * 50, seed: int = 1) -> Sampler:
    lengths = SECOND * np.random.default_rng(0).integers(2, 16, sum(sizes))
    options = {"shard_samples": 60 * SECOND, "max_samples": 20 * SECOND, "hop_samples": 320, "seed": seed}
    return Sampler(lengths, buffer=ShardBuffer(blocks_of(*sizes), buffer), sampling=sampling, **options)


def test_a_pass_holds_every_utterance_once_and_few_blocks_at_a_time():
    ours = sampler()
    plan = ours.plan(0)
    assert sorted(plan.order) == list(range(2000))
    block_of = np.empty(2000, dtype=int)
    block_of[ours.buffer.blocks.rows] = np.repeat(np.arange(50), 40)
    used = [set(block_of[plan.shard(position)[0]]) for position in range(len(plan))]
    spans = [[position for position, blocks in enumerate(used) if block in blocks] for block in range(50)]
    share = 200 / 2000  # of the pass: a buffer
    assert max(span[-1] - span[0] for span in spans) < 1.5 * share * len(plan)
    assert plan.padding_share(ours.lengths) < 0.1, "length buckets work inside the buffer"
    assert np.mean([len(blocks) for blocks in used]) > 2.5, "a batch is of several blocks"
    assert np.corrcoef(plan.num_samples[plan.sequence], np.arange(len(plan)))[0, 1] < 0.2, "not sorted by length"


def test_blocks_meet_others_in_another_pass():
    ours = sampler()
    first = [set(ours.plan(epoch).order[:200]) for epoch in range(2)]
    assert len(first[0] & first[1]) < 100 and first[0] != first[1]


def take(ours: Sampler, cursor: Cursor, count: int, **ranks: int) -> list:
    return [(item.rows.tolist(), item.num_samples, item.number) for item in islice(ours.stream(cursor, **ranks), count)]


def test_the_order_is_of_seed_and_epoch_for_any_ranks_and_goes_on_anywhere():
    whole = take(sampler(), Cursor(), 700)
    assert len(sampler().plan(0)) < 400, "the stream crosses a pass"
    for consumed in (1, 123, 395, 600):
        cursor = sampler().advanced(Cursor(), consumed)
        assert take(sampler(), cursor, 700 - consumed) == whole[consumed:]
    for rank in range(3):
        assert take(sampler(), Cursor(), 200, rank=rank, world_size=3) == whole[rank:600:3]
    assert take(sampler(seed=2), Cursor(), 5) != whole[:5]


def test_weights_hold_in_this_order_too():
    """A group of 200 in 2000 is drawn five times: no two copies in one buffer, but for chance."""
    groups = np.zeros(2000, dtype=int)
    groups[blocks_of(*(40,) * 50).rows[:200]] = 1
    ours = sampler(sampling=Sampling(groups, (Weights(0.0),)))
    order = ours.plan(0).order
    assert (groups[order] == 1).mean() == pytest.approx(0.5, abs=0.03)
    counts = np.bincount(order, minlength=2000)[groups == 1]
    assert counts.min() >= 4 and counts.max() <= 6
    windows = [order[begin : begin + 200] for begin in range(0, len(order), 200)]
    assert np.mean([len(set(window)) for window in windows[:-1]]) > 150


def test_a_last_small_block_and_uneven_ones_are_held_too():
    ours = sampler(sizes=(1, 3, 500, 7, 89), buffer=64)
    assert sorted(ours.plan(3).order) == list(range(600))
